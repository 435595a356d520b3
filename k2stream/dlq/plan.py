"""Plans the replay of a dead letter: which records go to which raw topic. Pure."""

from __future__ import annotations

from typing import NamedTuple

from k2stream import exchanges, topics
from k2stream.deadletter import DeadLetter
from k2stream.dlq.refusal import Refused as Refused
from k2stream.dlq.sinks import SINKS, route_of
from k2stream.exchanges import raw
from k2stream.exchanges.spec import Exchange
from k2stream.settings import KafkaSettings

HEADER = "k2-dead-letter"
"""Header of a replayed record: the number of its dead letter, ":", and the record's index in it."""


class Row(NamedTuple):
    """A record to be written."""

    partition: int
    key: bytes
    value: bytes


class LetterPlan(NamedTuple):
    """The records that a dead letter yields; a key is empty if only the raw topic has it.

    `rejects` are the causes of a frame's trades that are still rejected. A sink's dead letter is replayed
    into the table that lacks its record: `topic` is then the table.
    """

    topic: str
    rows: tuple[Row, ...]
    rejects: tuple[str, ...] = ()
    letter: DeadLetter | None = None
    """Only for a sink: the dead letter itself."""


def plan(letter: DeadLetter, settings: KafkaSettings) -> LetterPlan:
    """The records that a dead letter's original is, or contains. Raises Refused."""
    if letter.stage not in ("ingest", "normalize", *SINKS):
        raise Refused(
            f"it comes from stage {letter.stage}, whose dead letters cannot be replayed (k2 replay rebuilds)"
        )
    if not letter.complete:
        raise Refused("the dead letter has only a part of its original, which was too large")
    if letter.stage in SINKS:
        table = route_of(letter).table
        return LetterPlan(table, (Row(letter.partition, letter.reader.encode(), b""),), letter=letter)
    if letter.exchange not in exchanges.REGISTRY:
        raise Refused(f"unknown exchange {letter.exchange!r}")
    if letter.stage == "ingest" and raw.FETCHED in letter.connection:
        raise Refused("it is a row that REST returned: a backfill of its time fetches it again")
    exchange = exchanges.get(letter.exchange)
    make = _record if letter.stage == "normalize" else _frame
    return make(exchange, letter, settings)


def keyed(row: Row, key: bytes, partitions: int) -> Row:
    """A raw record with its key, for the partition that has the state of its symbol now."""
    return row._replace(
        key=key, partition=topics.partition_since(key.decode(errors="replace"), row.partition, partitions)
    )


def _record(exchange: Exchange, letter: DeadLetter, settings: KafkaSettings) -> LetterPlan:
    """The same raw record, for the partition of its symbol."""
    topic = topics.raw(exchange.name)
    if letter.topic != topic:
        raise Refused(f"it was read from {letter.topic}, the raw topic of {exchange.name} is {topic}")
    value = letter.original_bytes
    row = Row(letter.partition, b"", value)
    symbol = _symbol(exchange, value)
    return LetterPlan(topic, (keyed(row, symbol, settings.raw_partitions(exchange.name)) if symbol else row,))


def _symbol(exchange: Exchange, value: bytes) -> bytes:
    records, unreadable = raw.decode(exchange, [value])
    return b"" if unreadable else exchange.normalize(records).symbol[0].encode()


def _frame(exchange: Exchange, letter: DeadLetter, settings: KafkaSettings) -> LetterPlan:
    """The trades that the current parser finds in the frame, with the dead letter's time as receive time."""
    frame = exchange.parse(letter.original_bytes)
    causes = tuple(reject.cause for reject in frame.rejects)
    if not frame.trades:
        said = causes[0] if causes else frame.detail
        raise Refused(
            f"{exchange.name} still finds no trade in it ({said or frame.kind}); where it is one trade of a "
            "frame that had several, `k2 backfill` fetches it"
        )
    partitions = settings.raw_partitions(exchange.name)
    rows = tuple(
        Row(
            topics.partition_of(trade.symbol, partitions),
            trade.symbol.encode(),
            raw.record(trade, letter.time, letter.connection, sequence),
        )
        for sequence, trade in enumerate(frame.trades)
    )
    return LetterPlan(topics.raw(exchange.name), rows, causes)
