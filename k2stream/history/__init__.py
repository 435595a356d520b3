"""Candles of any age: a warm tier answers what it holds, a colder one is asked for what is older."""
