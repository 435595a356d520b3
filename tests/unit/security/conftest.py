"""Certificates of a CA of their own."""

import pytest

from k2stream.avro import registry
from tests.tls import issued


@pytest.fixture(autouse=True)
def no_ids_of_other_registries(monkeypatch):
    """What these tests register is forgotten."""
    for known in ("_writers", "_layouts", "_registered"):
        monkeypatch.setattr(registry, known, {})


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """CA, certificate and key."""
    return issued(tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="session")
def others(tmp_path_factory):
    """The same of another CA."""
    return issued(tmp_path_factory.mktemp("other"))
