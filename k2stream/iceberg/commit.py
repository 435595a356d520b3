"""Maintenance commits beside the sinks' commits: after a conflict, one is retried on the new table state."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from pyiceberg.exceptions import CommitFailedException, ValidationException
from sqlalchemy.exc import OperationalError

from k2stream.model.errors import Unavailable

ATTEMPTS = 20
PAUSE_SECONDS = 0.05

Result = TypeVar("Result")


class Overtaken(Unavailable):
    """Other writers committed first, on every attempt."""


def committed(attempt: Callable[[], Result]) -> Result:
    """The attempt's result. Each attempt must load the table again, and check whether it is done already.

    Raises Overtaken after ATTEMPTS conflicts.
    """
    for number in range(ATTEMPTS):
        try:
            return attempt()
        except (CommitFailedException, ValidationException):
            pass  # nothing was committed; the latter, where a file to replace is not found in the snapshot
        except OperationalError as error:
            if "locked" not in str(error):  # SQLite, while another process commits
                raise
        time.sleep(random.uniform(0.5, 1.5) * PAUSE_SECONDS * (number + 1))  # noqa: S311 - not a secret
    raise Overtaken(f"{ATTEMPTS} commits in a row were overtaken by others")
