"""Hot-tier sink of the raw topics into bronze_trades_<exchange>."""

from k2stream.agents import sinks as hot
from k2stream.app import create_app
from k2stream.layers import bronze

app = create_app("hot")

hot.trades().deliver(bronze.ROUTES)
