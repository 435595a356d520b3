"""The hot tier: destination, schema, sinks and candles."""
