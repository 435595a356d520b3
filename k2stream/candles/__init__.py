"""Candles from trades: fold, watermark, windows and finality. Pure: no Faust, no clock, no I/O."""
