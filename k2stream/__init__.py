"""K2 stream: exact crypto trades and candles, from exchange sockets to ClickHouse and Iceberg, on Faust."""
