"""Checks that the cold tier has every row of a time window once, and equal to the hot tier's.

Topics and tiers change while they are read, so nothing is compared by time alone. Trades are compared by
their positions in the raw topics, up to what each tier reports as durable. Candles are left out if the topic
still has records of them for one of the tiers.
"""
