"""Bronze, silver and gold as Arrow tables: the columns of each, and which topic they are made of."""
