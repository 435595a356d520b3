"""Simulated exchanges: local WebSocket servers that speak each exchange's real protocol."""

from k2stream.local.simulate.simulator import Options, Simulator

__all__ = ["Options", "Simulator"]
