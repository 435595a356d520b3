"""How many examples property tests look at, few in every run, many in `make fault`; what shares a process."""

from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

settings.register_profile("ordinary", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=500, deadline=None)
settings.load_profile("ordinary")


class Stack(LoadScopeScheduling):
    """Tests on the stack run one after the other in one process, beside the others: `pytest -n 2`."""

    def _split_scope(self, nodeid):
        return "stack" if nodeid.startswith("tests/integration/") else nodeid


def pytest_xdist_make_scheduler(config, log):
    return Stack(config, log)
