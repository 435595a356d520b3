"""The simulated exchanges' REST interfaces for past trades: what happened, whatever was sent of it."""

from k2stream.simulator.rest.past import Past
from k2stream.simulator.rest.server import Rest

__all__ = ["Past", "Rest"]
