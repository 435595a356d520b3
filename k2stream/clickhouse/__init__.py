"""The hot tier: destination, schema, sinks and candles."""

import os

# clickhouse-driver makes a table of all days of 400 years, 24 MB, when it is imported without this.
os.environ.setdefault("CLICKHOUSE_DRIVER_LASY_DATE_LUT", "1")
