"""Saves the progress of a backfill in the data folder, so that an interrupted one can be resumed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from k2stream.backfill.span import TradeSpan
from k2stream.model.errors import UNREADABLE
from k2stream.model.instrument import Instrument


class BackfillProgress(msgspec.Struct, frozen=True):
    """The cursor after the last durable chunk (None before the first), and the numbers of trades so far."""

    cursor: int | None = None
    fetched: int = msgspec.field(default=0, name="told")
    published: int = 0
    complete: bool = False
    unreadable: int = 0
    """Rows of the exchange's answers that cannot be read."""


class BackfillFile:
    """The progress file of one backfill: one exchange, symbol and span."""

    def __init__(self, folder: Path, instrument: Instrument, span: TradeSpan) -> None:
        times = (f"{datetime.fromtimestamp(time / 1e6, UTC):%Y%m%dT%H%M%S.%f}" for time in span)
        name = "-".join((instrument.exchange, instrument.symbol.replace("/", "_"), *times))
        self._path = folder / "backfill" / f"{name}.json"

    def read(self) -> BackfillProgress:
        """Return the saved progress, or that of a new backfill if there is none or it is unreadable."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=BackfillProgress)
        except (FileNotFoundError, *UNREADABLE):
            return BackfillProgress()

    def write(self, progress: BackfillProgress) -> None:
        """Replace the file atomically."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".tmp")
        fresh.write_bytes(msgspec.json.encode(progress))
        fresh.replace(self._path)

    def remove(self) -> None:
        """Delete the file, once the backfill is complete."""
        self._path.unlink(missing_ok=True)
