"""All topics with name, partitions, retention, key and schema, and the partition of a key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from aiokafka.partitioner import murmur2

from k2stream.exchanges import REGISTRY
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.errors import ConfigError
from k2stream.model.roles import Role
from k2stream.settings import KafkaSettings

EXCHANGES = tuple(REGISTRY)

NORMALIZED = "market.crypto.trades.normalized"
DLQ = "market.crypto.trades.dlq"
DLQ_REPLAYS = "market.crypto.trades.dlq.replays"
LATE = "market.crypto.trades.late"
FEED_EVENTS = "market.crypto.feed.events"
CERTIFICATES = "market.crypto.ohlcv.certificates"
KLINE_CHECKS = "market.crypto.kline.checks"

CHANGING = "market.crypto.partitions."
"""Prefix of the topic that exists, empty, while `k2 partitions` changes a count: no worker starts then."""

MAX_BYTES = 899_000
"""Limit of a record's key and value: a batch may have 900,000 with overhead, a broker's default is 1 MB."""

MAX_RAW_BYTES = 400_000
"""Limit of a raw record's value: each of its fields occurs at most twice in the canonical record."""

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


OTHER = "other"


def label_of(exchange: str) -> str:
    """The label of an exchange in metrics: a bad record may name anything, and a series stays."""
    return exchange if exchange in EXCHANGES else OTHER


def raw(exchange: str) -> str:
    """The raw topic of an exchange: one JSON record per trade, keyed by native symbol."""
    return f"market.crypto.trades.{exchange}.raw"


def exchange_of(topic: str) -> str:
    """The exchange of a raw topic. Raises ConfigError for other topics, and exchanges that are off."""
    for name in EXCHANGES:
        if raw(name) == topic:
            return name
    raise ConfigError(
        f"{topic} is not the raw topic of an exchange that is on ({', '.join(EXCHANGES)}): see K2_EXCHANGES"
    )


def ohlcv(timeframe: str) -> str:
    """The candle topic of a timeframe: Avro, one record per published revision, keyed by exchange:SYMBOL."""
    return f"market.crypto.ohlcv.{timeframe}"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is created. `schema` names a file of schemas/avro, or is "json" or "table"."""

    name: str
    partitions: int
    retention_ms: int
    key: str
    schema: str
    config: Mapping[str, str] = field(default_factory=dict)  # further topic configuration of the broker
    source: str = ""  # for a changelog: the topic that its table is computed from


def changelog(name: str, partitions: int, config: Mapping[str, str], source: str = "") -> Topic:
    """The changelog topic of a table: compacted, without a retention limit."""
    compacted = {"cleanup.policy": "compact", **config}
    return Topic(name, partitions, -1, "table key", "table", compacted, source)


def declared(settings: KafkaSettings) -> list[Topic]:
    """All topics of the platform except the changelogs of tables (`changelog`)."""
    normalized = settings.normalized_partitions
    return [
        *(
            Topic(raw(name), settings.raw_partitions(name), 7 * _DAY_MS, "native symbol", "json")
            for name in EXCHANGES
        ),
        Topic(NORMALIZED, normalized, 48 * _HOUR_MS, "exchange:SYMBOL", "trade"),
        *(Topic(ohlcv(name), normalized, 7 * _DAY_MS, "exchange:SYMBOL", "candle") for name in TIMEFRAMES),
        Topic(KLINE_CHECKS, normalized, 7 * _DAY_MS, "exchange:SYMBOL", "json"),
        Topic(DLQ, 1, 30 * _DAY_MS, "topic of the record, or exchange of the frame", "json"),
        # The broker's timestamps decide which process replays a dead letter: see k2stream/dlq/claims.py.
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
        Topic(CERTIFICATES, normalized, 30 * _DAY_MS, "exchange:SYMBOL", "json"),
    ]


def written_by_feed(exchange: str) -> tuple[str, ...]:
    """Topics that an ingest worker writes; it recreates a lost one without waiting for an operator."""
    return raw(exchange), FEED_EVENTS, DLQ


def written_by(role: str) -> tuple[str, ...]:
    """Topics that role normalize, candles or certify writes and the sinks read; KeyError for other roles."""
    made = {
        Role.NORMALIZE: (NORMALIZED,),
        Role.CANDLES: tuple(map(ohlcv, TIMEFRAMES)),
        Role.CERTIFY: (CERTIFICATES, KLINE_CHECKS),
    }
    return made[Role(role)]


@lru_cache(65_536)
def partition_of(symbol: str, partitions: int) -> int:
    """The partition of a native symbol: Kafka's default partitioner (murmur2) over its UTF-8 bytes.

    A trade keeps its raw partition in the normalized and candle topics and in the tables.
    """
    return int((murmur2(symbol.encode()) & 0x7FFFFFFF) % partitions)


def partitions_of(symbol: str, partitions: int) -> list[int]:
    """The partitions that may hold records of a native symbol, ascending: oldest records first.

    A count only grows to a multiple of itself (`k2 partitions`), which moves a symbol to a higher partition.
    The last one is `partition_of`, the others are what it was under each smaller count.
    """
    counts = (count for count in range(1, partitions + 1) if partitions % count == 0)
    return sorted({partition_of(symbol, count) for count in counts})


def partition_since(symbol: str, partition: int, partitions: int) -> int:
    """The partition that new records of a symbol go to, of which `partition` holds an earlier record.

    It is the same one, also for a record that another program wrote elsewhere, unless the count has grown.
    """
    possible = partitions_of(symbol, partitions)
    return possible[-1] if partition in possible else partition
