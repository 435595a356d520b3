"""Candles of any age: a warm tier answers from what it has, a colder one is queried for older candles."""
