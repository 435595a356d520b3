"""The values of the field: trades, candles, instruments, events, exact numbers, times, errors."""
