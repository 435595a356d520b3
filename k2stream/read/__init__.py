"""Candles and trades as Arrow tables, for notebooks: over REST, or from ClickHouse and Iceberg directly."""
