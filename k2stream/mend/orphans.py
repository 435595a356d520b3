"""Brings the normalizer's state to where it was when it published trades whose raw records are lost.

Then it is as if the state had been written before the log was cut: copies of these trades that connections or
REST report are known, and the repair of a log that was cut does the rest.
"""

from __future__ import annotations

from k2stream import exchanges, topics
from k2stream.avro import trades
from k2stream.batch import BatchTable, proof
from k2stream.batch.proof import Proof
from k2stream.kafka.producer import producing
from k2stream.kafka.reader import Reader
from k2stream.mend.fill import renew
from k2stream.mend.look import SourceFound
from k2stream.normalizer import SymbolPosition, continuity, inverse
from k2stream.replay.source import within
from k2stream.replay.tables import send_changes
from k2stream.settings import Settings


async def adopt(
    settings: Settings, item: SourceFound, table: BatchTable[str, SymbolPosition], cut: int
) -> None:
    """Read on to before offset `cut`, where new records begin, then add the orphans; the state is written.

    Its identity is that of the last orphan, which the log lacks: another run finds a log that was cut.
    """
    assert item.orphans is not None
    exchange = exchanges.get(topics.exchange_of(item.tp.topic))
    async with Reader(settings.kafka, columnar=True) as reader:
        batches = within(reader, item.tp.topic, item.tp.partition, (item.position, cut))
        await renew(settings, item.tp, batches, table)
    offsets = sorted(item.orphans.trades)
    lost = inverse.columns(exchange, trades.decode([item.orphans.trades[offset] for offset in offsets]))
    states = {name: at.state for name, at in table.partition_items(item.tp.partition)}
    checked = continuity.check(exchange.continuity, lost, states)
    reached = dict(zip(lost.symbol, offsets, strict=True))
    table.put_many(
        item.tp.partition,
        {name: SymbolPosition(offset, checked.states[name]) for name, offset in reached.items()},
    )
    kept = item.identity
    newest = item.orphans.newest or (kept.proof.timestamp if kept else 0)
    lacked = Proof(item.orphans.last, newest, 0)
    table.identify(item.tp.partition, proof.identity(lacked, kept.generation if kept else 0))
    async with producing(settings.kafka) as producer:
        await send_changes(producer, table)
