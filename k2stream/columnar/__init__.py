"""Texts, numbers and records by column, without a Python object per value."""
