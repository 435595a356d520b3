"""The routes of the tables of the hot tier."""

from k2stream.layers import bronze, certificates, gold, silver

ROUTES = {route.table: route for route in (*bronze.ROUTES, silver.ROUTE, *gold.ROUTES)}
"""The layers, by table name."""

HOT = {**ROUTES, certificates.ROUTE.table: certificates.ROUTE}
"""Also with those that no replay makes again from raw records."""
