"""Whether every result is what it should be: the oracle, and the audit of the cold tier."""
