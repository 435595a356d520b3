"""Candles from trades: fold, watermark, windows, finality and what is published of them. Without Faust."""
