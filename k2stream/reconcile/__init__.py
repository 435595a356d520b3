"""Verifies results: the oracle recomputes every layer, the audit checks the cold tier."""
