"""REST API over the candle tables."""
