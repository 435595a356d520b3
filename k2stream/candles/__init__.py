"""Candles from trades: fold, watermark, windows, finality and publishing. Independent of Faust."""
