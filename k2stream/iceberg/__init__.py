"""The cold tier: every layer in Iceberg, written straight from the topics."""
