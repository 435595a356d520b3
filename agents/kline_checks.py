"""Hot-tier sink of the comparisons with the exchanges' klines into kline_checks."""

from k2stream.agents import sinks as hot
from k2stream.app import create_app
from k2stream.layers import kline_checks

app = create_app("hot")

hot.trades().deliver([kline_checks.ROUTE])
