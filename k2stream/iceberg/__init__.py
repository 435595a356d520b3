"""The cold tier: every layer in Iceberg, written directly from the topics."""
