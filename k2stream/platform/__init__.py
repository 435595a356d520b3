"""Everything on one machine: the supervisor of the workers, and what they report of themselves."""
