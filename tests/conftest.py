"""How many examples property tests look at, few in every run, many in `make fault`; which share a process."""

import pytest
from hypothesis import Phase, settings
from xdist.scheduler import LoadScopeScheduling

from k2stream.settings import process
from tests.fault import parts

settings.register_profile("ordinary", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=500, deadline=None)
# The same examples for each mutant, and no search for the smallest that fails: `make mutate`.
settings.register_profile(
    "mutation",
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile("ordinary")


IN_ORDER = {
    "demo": "tests/integration/test_platform_demo",
    "batch": "tests/integration/batch/",
    "stack": "tests/integration/",
    "sockets": ("tests/unit/feed/", "tests/unit/simulator/", "tests/unit/backfill/"),
}
"""Tests that run one after the other, by what they share; the first name that fits counts.

"batch" and "stack" each start one where they run in different processes, and so take half as long."""

BY_FILE = (
    "tests/integration/test_cold_",
    "tests/integration/test_sinks_iceberg",
    "tests/integration/test_secured",
)
"""Of those, the ones that do not share the stack: files and catalogs of their own."""


class Stack(LoadScopeScheduling):
    """With `pytest -n 2`, tests on the stack run in order, and those on sockets, beside others."""

    def _split_scope(self, nodeid):
        if nodeid.startswith(BY_FILE):
            return nodeid.partition("::")[0]
        return next((name for name, start in IN_ORDER.items() if nodeid.startswith(start)), nodeid)


@pytest.fixture
def given_settings(monkeypatch):
    """A function that makes given settings those of this process, for the test."""

    def give(chosen):
        monkeypatch.setattr("k2stream.settings.process.load", lambda: chosen)
        process.current.cache_clear()

    yield give
    process.current.cache_clear()


def pytest_addoption(parser):
    text = (
        "run the second of three parts of what is selected, and keep the results in tests/fault/results.json"
    )
    parser.addoption("--part", default=None, metavar="2/3", help=text)


def pytest_configure(config):
    try:
        config.part = config.getoption("part") and parts.parse(config.getoption("part"))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    config.outcomes = {}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    if config.part:
        mine = set(parts.chosen([item.nodeid for item in items], parts.durations(), config.part))
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in mine])
        items[:] = [item for item in items if item.nodeid in mine]


def pytest_runtest_makereport(item, call):
    """A part of a long suite runs for half an hour: what failed is told, and what was found kept, at once."""
    config = item.config
    outcome, seconds = config.outcomes.get(item.nodeid, ("passed", 0.0))
    if call.excinfo and not call.excinfo.errisinstance(pytest.skip.Exception):
        outcome = "failed"
        if config.part:
            with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
                print(f"\n{item.nodeid}\n{item.repr_failure(call.excinfo)}", flush=True)
    config.outcomes[item.nodeid] = outcome, seconds + call.duration
    if config.part and call.when == "teardown":
        parts.keep([(item.nodeid, *config.outcomes[item.nodeid])])


def pytest_xdist_make_scheduler(config, log):
    return Stack(config, log)
