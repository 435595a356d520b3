"""How many examples property tests look at, few in every run, many in `make fault`; what shares a process."""

from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

settings.register_profile("ordinary", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=500, deadline=None)
settings.load_profile("ordinary")


IN_ORDER = ("tests/integration/", "tests/unit/feed/", "tests/unit/simulate/", "tests/unit/backfill/")
BY_FILE = ("tests/integration/test_cold_", "tests/integration/test_sinks_iceberg")
"""Of those, the ones that need no stack: files and catalogs of their own."""


class Stack(LoadScopeScheduling):
    """With `pytest -n 2`, tests on the stack and on sockets run one after the other, beside the others."""

    def _split_scope(self, nodeid):
        if nodeid.startswith(BY_FILE):
            return nodeid.partition("::")[0]
        return "stack" if nodeid.startswith(IN_ORDER) else nodeid


def pytest_xdist_make_scheduler(config, log):
    return Stack(config, log)
