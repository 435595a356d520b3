"""What the comparison needs of the worker that it runs in: a store of what waits, and a producer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol

from k2stream.agreement.pending import PendingCheck

SendColumns = Callable[[str, int, Sequence[bytes], Sequence[bytes]], Awaitable[None]]
"""Sends records with (topic, partition, keys, values)."""


class PendingStore(Protocol):
    """What waits, by partition; k2stream/tables/agreement.py keeps it."""

    def __len__(self) -> int: ...

    def for_exchange(self, exchange: str) -> Iterator[tuple[int, PendingCheck]]:
        """What waits of an exchange, each with its partition."""

    def get(self, partition: int, key: str) -> PendingCheck | None:
        """What waits under a key; None for nothing, and for a partition of another worker."""

    def put(self, partition: int, item: PendingCheck) -> None:
        """Let a candle wait, in place of an older revision."""

    def delete(self, partition: int, key: str) -> None:
        """Remove what waits under a key."""

    def first_trade(self, partition: int, symbol: str) -> int | None:
        """The time (µs) of the first trade of exchange:SYMBOL; None for an unknown one."""

    def record_trade(self, partition: int, symbol: str, time: int) -> None:
        """Note the time (µs) of a trade, which may be the first one."""
