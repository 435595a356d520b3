"""The made-up Tulip Exchange as a package of its own: docs/exchanges.md explains it step by step."""
