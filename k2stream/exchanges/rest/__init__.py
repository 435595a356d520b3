"""Past trades over the exchanges' REST interfaces: pure requests and responses, one file per exchange."""
