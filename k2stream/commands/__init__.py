"""The commands of `k2`, one module per command."""
