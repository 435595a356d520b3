"""Terminal views of the commands."""
