"""A local ClickHouse server: the chdb engine behind the native TCP protocol and HTTP.

`python -m k2stream.embedded.clickhouse DATA_DIR TCP_PORT HTTP_PORT` listens on 127.0.0.1 only, because there
is no authentication and no TLS. To clients (clickhouse-driver, curl) it is an ordinary server, except that
external tables and columns of type AggregateFunction, JSON, Variant and Dynamic are not supported (error 48).
Cancel takes effect between the blocks of a result.
"""
