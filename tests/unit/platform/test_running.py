"""A platform is found with its own workers, not with those of the run before."""

import json
import os

import pytest

from k2stream.embedded import datadir
from k2stream.embedded.endpoints import Endpoints
from k2stream.platform.addresses import ADDRESSES, save
from k2stream.platform.running import find
from k2stream.settings import make

URLS, REFUSED, SERVICE = {"hot": "http://127.0.0.1:1"}, {"normalize": "topic lost"}, "http://127.0.0.1:2"
SAVED = {
    "urls": URLS,
    "refused": REFUSED,
    "service": SERVICE,
    "settings": {"grace_seconds": 7.0},
}


@pytest.fixture
def folder(tmp_path):
    with datadir.owned(tmp_path / "data"):
        datadir.remember(Endpoints(20001, 20002, 20003, 20004, tmp_path / "data"))
        yield tmp_path / "data"


def test_its_workers_are_what_it_has_saved(folder):
    save(folder, SAVED)
    found = find(make(data_dir=str(folder)))
    assert found is not None
    assert (found.urls, found.refused, found.service) == (URLS, REFUSED, SERVICE)


def test_workers_and_refusals_of_the_run_before_are_not_its_own(folder):
    """While a platform started, k2 status said that a worker had refused its state, which it had before."""
    (folder / ADDRESSES).write_text(json.dumps({**SAVED, "process": os.getppid()}))
    found = find(make(data_dir=str(folder)))
    assert found is not None
    assert (found.urls, found.refused, found.service) == ({}, {}, "")
    assert found.settings.candles.grace_seconds == 7.0
