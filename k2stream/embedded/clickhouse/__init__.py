"""A local ClickHouse server: the chdb engine behind the native TCP protocol and HTTP.

`python -m k2stream.embedded.clickhouse DATA_DIR TCP_PORT HTTP_PORT [ACCESS_DIR]` listens on 127.0.0.1 only.
With the folder of a guard it has TLS on both ports and one user; without, neither. To clients
(clickhouse-driver, curl) it is an ordinary server, except that external tables and columns of type
AggregateFunction, JSON, Variant and Dynamic are not supported (error 48). Cancel takes effect between the
blocks of a result.
"""
