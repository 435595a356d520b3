"""raw topics ─► bronze_trades_binance, bronze_trades_kraken, bronze_trades_coinbase."""

from k2stream.app import create_app
from k2stream.sinks import bronze, hot

app = create_app("hot")

hot.trades().deliver(bronze.ROUTES)
