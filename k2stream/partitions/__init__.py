"""Changes the partition counts of a platform's topics, with the state that belongs to the keys that move."""
