"""Maintenance commits are tried again after a conflict, and after nothing else."""

import pytest
from pyiceberg.exceptions import CommitFailedException, ValidationException
from sqlalchemy.exc import OperationalError

from k2stream.iceberg import commit

CONFLICTS = [
    CommitFailedException("updated by another process"),
    ValidationException("Missing required files to delete"),
    OperationalError("UPDATE", {}, Exception("database is locked")),
]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(commit, "PAUSE_SECONDS", 0.0)


@pytest.mark.parametrize("conflict", CONFLICTS, ids=lambda error: type(error).__name__)
def test_a_conflict_is_tried_again_until_it_passes(conflict):
    answers = iter([conflict, conflict])

    def attempt():
        for error in answers:
            raise error
        return 7

    assert commit.committed(attempt) == 7


@pytest.mark.parametrize("conflict", CONFLICTS, ids=lambda error: type(error).__name__)
def test_conflicts_end(conflict):
    tried = []

    def attempt():
        tried.append(1)
        raise conflict

    with pytest.raises(commit.Overtaken):
        commit.committed(attempt)
    assert len(tried) == commit.ATTEMPTS


def test_another_error_is_not_tried_again():
    tried = []

    def attempt():
        tried.append(1)
        raise OperationalError("UPDATE", {}, Exception("disk I/O error"))

    with pytest.raises(OperationalError):
        commit.committed(attempt)
    assert len(tried) == 1
