"""Plain clients of the broker: connection options, topics, reading of offset ranges, lag."""
