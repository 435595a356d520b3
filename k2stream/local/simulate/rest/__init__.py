"""The simulated exchanges' REST interfaces for past trades: what happened, whatever was sent of it."""

from k2stream.local.simulate.rest.past import Past
from k2stream.local.simulate.rest.server import Rest

__all__ = ["Past", "Rest"]
