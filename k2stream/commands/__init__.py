"""The commands of `k2`, a module each."""
