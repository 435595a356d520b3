"""Hot-tier sink of the normalized topic into silver_trades."""

from k2stream.agents import sinks as hot
from k2stream.app import create_app
from k2stream.layers import silver

app = create_app("hot")

hot.trades().deliver([silver.ROUTE])
