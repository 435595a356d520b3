"""The order in which recorded trades are sent again (pure)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from k2stream.batch import RecordBatch
from k2stream.exchanges import raw
from k2stream.exchanges.spec import Exchange
from k2stream.simulator.relayed import Recorded

AHEAD_US = 60_000_000
"""How much is read ahead: a trade that was fetched later than this after it was missed keeps its place."""

_METADATA = b',"k2_recv":'


class Placed(NamedTuple):
    """A recorded trade; `order` is its id and its time, which rise per symbol."""

    trade: Recorded
    order: tuple[int, int]
    fetched: bool


def body(value: bytes) -> bytes:
    """A raw record without what the ingest worker added."""
    return value[: value.rindex(_METADATA)] + b"}"


def placed(exchange: Exchange, batch: RecordBatch, start: int, end: int) -> list[Placed]:
    """The trades of a batch that were received in [start, end) (µs), in its order."""
    records, unreadable = raw.decode(exchange, batch.values)
    values = [value for at, value in enumerate(batch.values) if at not in unreadable and value is not None]
    columns = exchange.normalize(records)
    return [
        Placed(Recorded(symbol, body(value), record.k2_recv), (sequence, time), record.k2_backfilled)
        for symbol, value, record, sequence, time in zip(
            columns.symbol, values, records, columns.sequence, columns.timestamp, strict=True
        )
        if start <= record.k2_recv < end
    ]


class Ahead:
    """Holds the trades of one partition, and puts those that were fetched later where they were missed."""

    def __init__(self) -> None:
        self._held: deque[Placed] = deque()
        self._newest = 0

    def add(self, item: Placed) -> None:
        """Add the next trade in the order of offsets; receive times never fall."""
        self._newest = max(self._newest, item.trade.received)
        item = item._replace(trade=item.trade._replace(received=self._newest))
        if item.fetched:
            for at, other in enumerate(self._held):
                if other.trade.symbol == item.trade.symbol and other.order > item.order:
                    moved = item.trade._replace(received=other.trade.received)
                    self._held.insert(at, item._replace(trade=moved))
                    return
        self._held.append(item)

    def ready(self, *, ended: bool = False) -> Iterator[Recorded]:
        """The trades that no later one can precede."""
        while self._held and (ended or self._newest - self._held[0].trade.received >= AHEAD_US):
            yield self._held.popleft().trade
