"""The domain's value types: trades, candles, instruments, events, exact numbers, times, errors."""
