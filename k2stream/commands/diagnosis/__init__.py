"""What `k2 doctor` measures, and what it says of it."""
