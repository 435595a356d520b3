"""The mirror: K2 speaks Binance's spot API, of every exchange, so that clients of that API read from it.

docs/mirror.md says what is equal to Binance's own answers, and lists the exceptions.
"""
