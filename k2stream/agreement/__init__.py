"""Compares final candles with the exchanges' own klines; it reports, and changes no candle."""
