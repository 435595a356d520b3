"""The simulated exchanges' REST interfaces: all past trades, whether or not they were sent."""
