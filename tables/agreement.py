"""The tables of the comparison with the exchanges' klines: what waits, and where our trades begin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import faust
import msgspec

from k2stream.agreement.pending import PendingCheck
from k2stream.batch import BatchTable

# Only closed segments are compacted: small ones keep the part that recovery reads short.
_CHANGELOG = {"segment.bytes": str(16 << 20), "min.cleanable.dirty.ratio": "0.1"}


@dataclass(frozen=True, slots=True)
class AgreementTables:
    """`pending` by the key of PendingCheck; `first_trades` by exchange:SYMBOL, in µs since 1970.

    Both have the partitions of the candle topics.
    """

    pending: BatchTable[str, PendingCheck]
    first_trades: BatchTable[str, int]

    def get(self, partition: int, key: str) -> PendingCheck | None:
        """What waits under a key; None for nothing, and for a partition of another worker."""
        return self.pending.get_from(partition, key)

    def put(self, partition: int, item: PendingCheck) -> None:
        """Let a candle wait, in place of an older revision."""
        self.pending.put(partition, item.key, item)

    def delete(self, partition: int, key: str) -> None:
        """Remove what waits under a key."""
        self.pending.delete(partition, key)

    def first_trade(self, partition: int, symbol: str) -> int | None:
        """The time (µs) of the first trade of exchange:SYMBOL; None for an unknown one."""
        return self.first_trades.get_from(partition, symbol)

    def record_trade(self, partition: int, symbol: str, time: int) -> None:
        """Note the time (µs) of a trade, if it is the first one."""
        first = self.first_trade(partition, symbol)
        if first is None or time < first:
            self.first_trades.put(partition, symbol, time)

    def __len__(self) -> int:
        """The number of candles that wait."""
        table = self.pending
        return sum(len(table.partition_items(partition)) for partition in table.active_partitions)

    def for_exchange(self, exchange: str) -> Iterator[tuple[int, PendingCheck]]:
        """What waits of an exchange, each with its partition."""
        for partition in self.pending.active_partitions:
            for _, item in self.pending.partition_items(partition):
                if item.exchange == exchange:
                    yield partition, item


def declare(app: faust.App, partitions: int) -> AgreementTables:
    """Declare the tables; `partitions` is the partition count of the candle topics.

    They name no source: if a changelog is lost, what had waited is not compared, and the worker goes on.
    """
    pending: BatchTable[str, PendingCheck] = BatchTable(
        app,
        name="agreement_pending",
        help="Final candles that wait for their comparison with the exchange's kline",
        partitions=partitions,
        loads_value=msgspec.json.Decoder(PendingCheck).decode,
        extra_topic_configs=_CHANGELOG,
    )
    app.tables.add(pending)
    first_trades: BatchTable[str, int] = BatchTable(
        app,
        name="agreement_first_trades",
        help="The time of the first trade of each symbol, in the window of which a candle is partial",
        partitions=partitions,
        supersedes=lambda new, old: new <= old,
        extra_topic_configs=_CHANGELOG,
    )
    app.tables.add(first_trades)
    return AgreementTables(pending, first_trades)
