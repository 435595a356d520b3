"""Looks ahead in a batch: where the ids go on in sequence, so that only other trades need a closer look."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from k2stream.normalizer.continuity.groups import Group, Rows
from k2stream.normalizer.continuity.state import Ids


class Expected(NamedTuple):
    """`unusual` are the indices of the trades that do not have the next id.

    `high` and `last` are the highest id, and the highest plain one that an aggregated trade covered, after
    each trade if all were accepted. Not all are: a late trade of an ended epoch may have a higher id, and so
    may one that is dropped.
    """

    unusual: list[int]
    high: Rows
    last: Rows


def expected(group: Group, ids: Ids, plain: Ids, start: int) -> Expected:
    """What is expected of the trades of a group from index `start` on; `plain` are the symbol's plain ids."""
    high = last = np.maximum.accumulate(np.append(ids.high, group.number[start:]))
    usual: NDArray[np.bool_] = group.usable[start:] & (group.number[start:] == high[:-1] + 1)
    if group.aggregated:
        last = np.maximum.accumulate(np.append(plain.high, group.last[start:]))
        usual &= group.first[start:] == last[:-1] + 1
    if ids.past:
        usual &= group.time[start:] > ids.past[-1].time
    return Expected((np.flatnonzero(~usual) + start).tolist(), high[1:], last[1:])
