"""What a walk finds of the trades of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from k2stream.model.events import FeedEvent
from k2stream.normalizer.continuity.groups import Rows


@dataclass(slots=True)
class WalkResult:
    """The result for the trades of a batch, by row; the fields have the meaning of those of Checked."""

    keep: NDArray[np.bool_]
    epoch: Rows
    doubtful: dict[int, str] = field(default_factory=dict)
    events: list[FeedEvent] = field(default_factory=list)
    shown_by: list[int] = field(default_factory=list)

    def add(self, event: FeedEvent, row: int) -> None:
        """Add an event, and the row of the trade that revealed it."""
        self.events.append(event)
        self.shown_by.append(row)
