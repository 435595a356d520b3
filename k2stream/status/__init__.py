"""What the running workers say of themselves, gathered and drawn."""
