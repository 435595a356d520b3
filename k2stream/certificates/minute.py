"""What is kept of the trades of a minute, and of five minutes, the unit in which they are stored."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from k2stream.certificates import digest, ranges
from k2stream.certificates.ranges import Ids

MINUTE_MS = 60_000
BLOCK_MS = 5 * MINUTE_MS
"""Every longer timeframe consists of whole blocks."""


class Taken(NamedTuple):
    """A canonical trade that a candle takes. `numbering` is that of its id, None where ids do not count."""

    timestamp: int
    raw_partition: int
    raw_offset: int
    trade_id: int
    trade_count: int
    fetched: bool
    numbering: str | None
    line: bytes


class Stretch(msgspec.Struct, array_like=True, gc=False):
    """Raw offsets of live or of fetched trades."""

    first: int = -1
    last: int = -1
    records: int = 0

    def add(self, offset: int) -> None:
        """Add the next trade; offsets rise."""
        self.first = offset if self.first < 0 else self.first
        self.last = offset
        self.records += 1


class Minute(msgspec.Struct, array_like=True):
    """The trades of a minute so far: their chained digest, ids and raw offsets. `open_time` is in ms."""

    open_time: int
    digest: bytes = digest.EMPTY
    trade_count: int = 0
    raw_partition: int = -1
    raw_offset: int = -1
    low_id: int = 0
    high_id: int = 0
    live: Stretch = msgspec.field(default_factory=Stretch)
    fetched: Stretch = msgspec.field(default_factory=Stretch)
    ids: list[Ids] = []
    filled: list[Ids] = []

    @property
    def records(self) -> int:
        """The number of trade records."""
        return self.live.records + self.fetched.records

    def add(self, trade: Taken) -> None:
        """Add the next trade, unless it is a replay."""
        if trade.raw_offset <= self.raw_offset:
            return
        self.digest = digest.chained(self.digest, (trade.line,))
        self.trade_count += trade.trade_count
        self.raw_partition, self.raw_offset = trade.raw_partition, trade.raw_offset
        (self.fetched if trade.fetched else self.live).add(trade.raw_offset)
        if trade.trade_id > 0:
            self.low_id = min(self.low_id or trade.trade_id, trade.trade_id)
            self.high_id = max(self.high_id, trade.trade_id)
        if trade.numbering is not None:
            ranges.add(self.ids, trade.numbering, trade.trade_id)
            if trade.fetched:
                ranges.add(self.filled, trade.numbering, trade.trade_id)


class Noted(msgspec.Struct, array_like=True, gc=False):
    """A final revision that was certified: as in model/certificate.py, with the fetched records up to it."""

    revision: int
    time: int
    cause: str
    raw_offset: int
    fetched: int


class MinuteBlock(msgspec.Struct, array_like=True):
    """Five minutes: those with trades, ascending, and the certified revisions of windows that open in them.

    The windows are by `<timeframe>:<open time>`.
    """

    minutes: list[Minute] = []
    noted: dict[str, list[Noted]] = {}

    @property
    def place(self) -> tuple[int, int]:
        """Rises with every change: the highest raw offset, and the number of revisions."""
        return max((minute.raw_offset for minute in self.minutes), default=-1), sum(
            map(len, self.noted.values())
        )

    def add(self, trade: Taken) -> None:
        """Add a trade to its minute."""
        opened = trade.timestamp // 1000 // MINUTE_MS * MINUTE_MS
        for at in range(len(self.minutes), -1, -1):
            if at and self.minutes[at - 1].open_time > opened:
                continue
            if not at or self.minutes[at - 1].open_time < opened:
                self.minutes.insert(at, Minute(opened))
                at += 1
            return self.minutes[at - 1].add(trade)


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(MinuteBlock).decode

LAYOUT = b"\x01"


def dumps(block: MinuteBlock) -> bytes:
    """Encode a block, in about 100 bytes per minute."""
    return LAYOUT + _ENCODE(block)


def loads(data: bytes) -> MinuteBlock:
    """Decode a block. Raises ValueError for a layout of another release."""
    if data[:1] != LAYOUT:
        raise ValueError(
            f"block of minutes of layout {data[:1]!r}, this release reads {LAYOUT!r}: "
            "run the release that wrote it, or delete the changelog"
        )
    return _DECODE(data[1:])
