"""Bronze, silver and gold as Arrow tables: the columns of each, and the topic each is made from."""
