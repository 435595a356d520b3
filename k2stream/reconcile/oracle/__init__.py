"""The oracle: recomputes every result from the raw topics with another engine, and compares."""
