"""Repairs a state that a worker refuses: it is examined, the repair is announced, then carried out."""
