"""Is every row of a window in the cold tier, once, and the same as in the hot one?

All sides move on while they are looked at, so nothing is compared by time alone: trades are compared by their
positions in the raw topics, up to what each tier says it holds; candles that the topic still had to bring to
one of the tiers are left out.
"""
