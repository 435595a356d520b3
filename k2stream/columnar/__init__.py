"""Columns of strings, numbers and records, without a Python object per value."""
