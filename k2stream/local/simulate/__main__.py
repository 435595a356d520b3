"""`python -m k2stream.local.simulate`."""

from k2stream.local.simulate.command import simulate_command

simulate_command(prog_name="k2 simulate")
