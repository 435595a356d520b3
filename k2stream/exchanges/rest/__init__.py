"""Past trades over the exchanges' REST interfaces: pure requests and answers, a file an exchange."""
