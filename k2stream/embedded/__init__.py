"""The embedded stack: real Kafka broker, schema registry and ClickHouse engine as child processes."""
