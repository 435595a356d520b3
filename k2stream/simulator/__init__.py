"""Simulated exchanges: local WebSocket servers that speak each exchange's real protocol."""

from k2stream.simulator.simulator import Options, Simulator

__all__ = ["Options", "Simulator"]
