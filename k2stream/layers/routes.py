"""The routes of all tables of the hot tier, in two kinds."""

from k2stream.layers import bronze, certificates, gold, kline_checks, silver

ROUTES = {route.table: route for route in (*bronze.ROUTES, silver.ROUTE, *gold.ROUTES)}
"""The layers, by table name: what a replay makes again from raw records."""

REPORTS = {route.table: route for route in (certificates.ROUTE, kline_checks.ROUTE)}
"""What was found about the layers, which no replay can find again."""

HOT = ROUTES | REPORTS
"""All of them."""
