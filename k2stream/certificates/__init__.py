"""Certificates of candles: the digest of their trades, kept per minute, and issued when a candle is final."""
