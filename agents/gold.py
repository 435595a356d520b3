"""candle topics ─► ohlcv_1m … ohlcv_1d."""

from k2stream.app import create_app
from k2stream.sinks import gold, hot

app = create_app("hot")

hot.candles().deliver(gold.ROUTES)
