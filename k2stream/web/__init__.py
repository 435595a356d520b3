"""REST over the candle tables."""
