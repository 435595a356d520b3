"""How many examples property tests look at: few in every run, many in `make fault`."""

from hypothesis import settings

settings.register_profile("ordinary", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=500, deadline=None)
settings.load_profile("ordinary")
