"""Verifies certificates offline: folds a candle's trades again, and names what is not as it was certified."""
