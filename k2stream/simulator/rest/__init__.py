"""The simulated exchanges' REST interfaces for past trades: what happened, whatever was sent of it."""
