"""Certificates of a CA of their own."""

import pytest

from tests.tls import issued


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """CA, certificate and key."""
    return issued(tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="session")
def others(tmp_path_factory):
    """The same of another CA."""
    return issued(tmp_path_factory.mktemp("other"))
