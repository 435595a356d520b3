"""How far a backfill has come, in a file of the data folder: one that is broken off goes on from there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from k2stream.backfill.span import TradeSpan
from k2stream.model.instrument import Instrument


class BackfillProgress(msgspec.Struct, frozen=True):
    """The cursor after the last chunk that is durable (None before the first), and what was found so far."""

    cursor: int | None = None
    told: int = 0
    published: int = 0
    complete: bool = False


class BackfillNote:
    """The file of one backfill: of an exchange, a symbol and a span."""

    def __init__(self, folder: Path, instrument: Instrument, span: TradeSpan) -> None:
        times = (f"{datetime.fromtimestamp(time / 1e6, UTC):%Y%m%dT%H%M%S.%f}" for time in span)
        name = "-".join((instrument.exchange, instrument.symbol.replace("/", "_"), *times))
        self._path = folder / "backfill" / f"{name}.json"

    def read(self) -> BackfillProgress:
        """What was written last; the beginning where that is nothing, or unreadable."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=BackfillProgress)
        except (FileNotFoundError, msgspec.DecodeError):
            return BackfillProgress()

    def write(self, progress: BackfillProgress) -> None:
        """Replace it in one step."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".tmp")
        fresh.write_bytes(msgspec.json.encode(progress))
        fresh.replace(self._path)

    def remove(self) -> None:
        """The backfill is done."""
        self._path.unlink(missing_ok=True)
