"""The routes of all tables of the hot tier."""

from k2stream.layers import bronze, gold, silver

ROUTES = {route.table: route for route in (*bronze.ROUTES, silver.ROUTE, *gold.ROUTES)}
"""By table name."""
