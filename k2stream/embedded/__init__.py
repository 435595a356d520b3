"""The embedded stack: a real Kafka broker, schema registry and ClickHouse engine as child processes."""
