"""How many examples property tests look at, few in every run, many in `make fault`; what shares a process."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("ordinary", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=500, deadline=None)
settings.load_profile("ordinary")


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the marks
def pytest_collection_modifyitems(items):
    """Tests on the stack run one after the other in one process, beside the others: `pytest -n 2`."""
    for item in items:
        if "integration" in Path(item.path).parts:
            item.add_marker(pytest.mark.xdist_group("stack"))
