"""`k2 top` as a terminal application over the service's public routes."""
