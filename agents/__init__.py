"""The Faust apps of the roles, one module each, and the agents that they run."""

from k2stream.memory import choose_arrow_pool

choose_arrow_pool()
