"""Plain clients of the broker: how they connect, topics, reading stretches, lag."""
