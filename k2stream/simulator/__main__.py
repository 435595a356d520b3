"""`python -m k2stream.simulator`."""

from k2stream.simulator.command import simulate_command

simulate_command(prog_name="k2 simulate")
