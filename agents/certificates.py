"""Hot-tier sink of the certificates topic into candle_certificates."""

from k2stream.agents import sinks as hot
from k2stream.app import create_app
from k2stream.layers import certificates

app = create_app("hot")

hot.trades().deliver([certificates.ROUTE])
