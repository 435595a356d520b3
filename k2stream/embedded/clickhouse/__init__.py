"""A ClickHouse server on one machine: the chdb engine behind the native TCP protocol and HTTP.

`python -m k2stream.embedded.clickhouse DATA_DIR TCP_PORT HTTP_PORT` listens on 127.0.0.1 only: there is no
authentication and no TLS. Clients (clickhouse-driver, curl) see an ordinary server, without external tables
and without columns of AggregateFunction, JSON, Variant and Dynamic (error 48). Cancel takes effect between
the blocks of a result.
"""
