"""Hot-tier sink of the candle topics into ohlcv_1m … ohlcv_1d."""

from k2stream.agents import sinks as hot
from k2stream.app import create_app
from k2stream.layers import gold

app = create_app("hot")

hot.candles().deliver(gold.ROUTES)
