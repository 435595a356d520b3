"""normalized topic ─► silver_trades."""

from k2stream.app import create_app
from k2stream.sinks import hot, silver

app = create_app("hot")

hot.trades().deliver([silver.ROUTE])
