"""Canonical records: Avro in the Confluent wire format."""
