"""Files of candles and trades, in K2's own layout and in those of backtesters."""
