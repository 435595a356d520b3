"""Every topic, in one place: name, partitions, retention, key, schema; and the partition of a key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiokafka.partitioner import murmur2

from k2stream.exchanges import REGISTRY
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.roles import Role
from k2stream.settings import KafkaSettings

EXCHANGES = tuple(REGISTRY)

NORMALIZED = "market.crypto.trades.normalized"
DLQ = "market.crypto.trades.dlq"
DLQ_REPLAYS = "market.crypto.trades.dlq.replays"
LATE = "market.crypto.trades.late"
FEED_EVENTS = "market.crypto.feed.events"

MAX_BYTES = 899_000
"""Of a record's key and value: a batch has 900,000 with its overhead, a broker takes 1 MB by default."""

MAX_RAW_BYTES = 400_000
"""Of a raw record's value: no field stands more than twice in the canonical record that is made of it."""

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


def raw(exchange: str) -> str:
    """The raw topic of an exchange: one JSON record a trade, key = native symbol."""
    return f"market.crypto.trades.{exchange}.raw"


def exchange_of(topic: str) -> str:
    """The exchange whose raw topic it is."""
    return next(name for name in EXCHANGES if raw(name) == topic)


def ohlcv(timeframe: str) -> str:
    """The candle topic of a timeframe: Avro, each revision and the final record, key = exchange:SYMBOL."""
    return f"market.crypto.ohlcv.{timeframe}"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is created. `schema` names a file of schemas/avro, or "json"."""

    name: str
    partitions: int
    retention_ms: int
    key: str
    schema: str
    config: Mapping[str, str] = field(default_factory=dict)  # of the broker, beside the retention
    source: str = ""  # the topic that a table is made from, of its changelog


def changelog(name: str, partitions: int, config: Mapping[str, str], source: str = "") -> Topic:
    """The changelog topic of a table: compacted, kept for ever."""
    compacted = {"cleanup.policy": "compact", **config}
    return Topic(name, partitions, -1, "table key", "table", compacted, source)


def declared(settings: KafkaSettings) -> list[Topic]:
    """All topics of the platform (Faust adds its tables' changelogs)."""
    normalized = settings.normalized_partitions
    return [
        *(
            Topic(raw(name), settings.raw_partitions(name), 7 * _DAY_MS, "native symbol", "json")
            for name in EXCHANGES
        ),
        Topic(NORMALIZED, normalized, 48 * _HOUR_MS, "exchange:SYMBOL", "trade"),
        *(Topic(ohlcv(name), normalized, 7 * _DAY_MS, "exchange:SYMBOL", "candle") for name in TIMEFRAMES),
        Topic(DLQ, 1, 30 * _DAY_MS, "topic of the record, or exchange of the frame", "json"),
        # By the broker's clock: who replays a letter is decided by it, see k2stream/dlq/notes.py.
        Topic(
            DLQ_REPLAYS,
            1,
            30 * _DAY_MS,
            "offset of the dead letter",
            "json",
            {"message.timestamp.type": "LogAppendTime"},
        ),
        Topic(LATE, 1, 30 * _DAY_MS, "exchange:SYMBOL", "trade"),
        Topic(FEED_EVENTS, 1, 30 * _DAY_MS, "exchange", "json"),
    ]


def written_by_feed(exchange: str) -> tuple[str, ...]:
    """What an ingest worker writes to: it never waits for anybody to say what became of a lost topic."""
    return raw(exchange), FEED_EVENTS, DLQ


def written_by(role: str) -> tuple[str, ...]:
    """The topics that a role makes from others and the sinks read."""
    made = {Role.NORMALIZE: (NORMALIZED,), Role.CANDLES: tuple(map(ohlcv, TIMEFRAMES))}
    return made[Role(role)]


def partition_of(symbol: str, partitions: int) -> int:
    """The partition of a native symbol: Kafka's default partitioner (murmur2) over its UTF-8 bytes.

    A trade keeps its raw partition in the normalized and candle topics and in the tables.
    """
    return int((murmur2(symbol.encode()) & 0x7FFFFFFF) % partitions)
