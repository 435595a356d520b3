"""The ids of a numbering that has started again."""

from __future__ import annotations

import msgspec

from k2stream.normalizer.continuity.state import Ids

MAX_PAST = 16
"""Earlier epochs remembered per numbering."""


def epoch_after(before: Ids, first: int, high: int, time: int) -> Ids:
    """The ids of a new epoch, which starts with `first` to `high` at a trade time (µs)."""
    ended = msgspec.structs.replace(before, recent=b"", past=[])
    return Ids(
        high=high,
        holes=[(0, first - 1)] if first else [],
        time=time,
        recent=before.recent,
        epoch=before.epoch + 1,
        past=[*before.past, ended][-MAX_PAST:],
        since=time,
    )
