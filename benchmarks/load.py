"""What every stage reads: deterministic Binance trades, as raw records and as canonical ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from aiokafka import AIOKafkaProducer
from numpy.typing import NDArray

from k2stream import topics
from k2stream.avro import trades as codec
from k2stream.exchanges.binance import BINANCE
from k2stream.model import decimals
from k2stream.model.trade import TradeColumns

RAW = topics.raw("binance")
START_MS = 1_700_000_040_000  # a whole minute
TRADES_A_SECOND = 1_000  # of event time: 2M trades are 33 minutes
PRICE_DIGITS, QUANTITY_DIGITS = 2, 5
_BATCH = 3_000  # records; a record batch must stay below 1 MB
# fmt: off
_BASES = (
    "BTC", "ETH", "BNB", "SOL", "XRP", "ADA", "DOGE", "AVAX", "DOT", "LINK", "LTC", "TRX", "UNI", "ATOM",
    "XLM", "NEAR", "APT", "ARB", "OP", "FIL", "INJ", "SUI", "AAVE", "ALGO", "HBAR", "ICP", "VET", "SAND",
    "MANA", "AXS", "EGLD", "GRT", "RUNE",
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Load:
    """How much to load."""

    records: int = 2_000_000
    symbols: int = len(_BASES)
    partitions: int = 8
    seed: int = 7
    start_ms: int = START_MS  # of event time

    def names(self) -> list[str]:
        """The native symbols."""
        made = (f"T{number:05d}" for number in range(self.symbols - len(_BASES)))
        return [f"{base}USDT" for base in (*_BASES[: self.symbols], *made)]


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades in order of time, a column each; symbol indexes names; prices in ticks, quantities in lots."""

    names: list[str]
    symbol: NDArray[np.int64]
    id: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    price: NDArray[np.int64]
    quantity: NDArray[np.int64]
    buyer_is_maker: NDArray[np.bool_]
    sequence: NDArray[np.int64]

    def rows(self, rows: NDArray[np.int64]) -> Trades:
        """Some of them."""
        chosen = {column.name: getattr(self, column.name)[rows] for column in fields(self)[1:]}
        return Trades(self.names, **chosen)


class Batch(NamedTuple):
    """Records of one partition; timestamps in ms."""

    partition: int
    keys: list[bytes]
    values: list[bytes]
    timestamps: list[int]


def generate(load: Load) -> Trades:
    """The trades: popular symbols trade more, prices walk, ids of a symbol have no holes."""
    random = np.random.default_rng(load.seed)
    n, names = load.records, load.names()
    symbol = (random.random(n) ** 2 * len(names)).astype(np.int64)
    by_symbol = np.argsort(symbol, kind="stable")
    counts = np.bincount(symbol, minlength=len(names))
    firsts = np.repeat(np.cumsum(counts) - counts, counts)
    number = np.empty(n, np.int64)
    number[by_symbol] = np.arange(n) - firsts
    walk = np.cumsum(random.integers(-3, 4, n))
    opening = random.integers(100_000, 5_000_000, len(names))  # ticks of 0.01
    price = np.empty(n, np.int64)
    price[by_symbol] = np.repeat(opening, counts) + walk - walk[firsts]
    return Trades(
        names,
        symbol,
        100_000_000 + 1_000_000 * symbol + number,
        load.start_ms + np.arange(n) * 1000 // TRADES_A_SECOND,
        np.maximum(price, 1),
        random.integers(1, 300_000, n),
        random.random(n) < 0.5,
        np.arange(n),
    )


def by_partition(trades: Trades, partitions: int) -> Iterator[tuple[int, Trades]]:
    """Each partition's trades, in order."""
    partition = np.array([topics.partition_of(name, partitions) for name in trades.names])[trades.symbol]
    for number in range(partitions):
        yield number, trades.rows(np.flatnonzero(partition == number))


def raw_values(trades: Trades) -> list[bytes]:
    """Raw records as k2stream/exchanges/raw.py makes them: Binance's own fields and literal numbers."""
    form = (
        b'{"e":"trade","E":%d,"s":"%b","t":%d,"p":"%d.%02d","q":"%d.%05d","T":%d,"m":%b,"M":true,'
        b'"k2_recv":%d,"k2_conn":"binance-load","k2_seq":%d}'
    )
    names = [name.encode() for name in trades.names]
    whole, part = (part.tolist() for part in np.divmod(trades.price, 10**PRICE_DIGITS))
    coins, rest = (part.tolist() for part in np.divmod(trades.quantity, 10**QUANTITY_DIGITS))
    columns = (trades.symbol, trades.id, trades.time_ms, trades.buyer_is_maker, trades.sequence)
    return [
        form % (t + 1, names[s], i, w, c, k, r, t, b"true" if m else b"false", t * 1000 + 2_000, n)
        for (s, i, t, m, n), w, c, k, r in zip(
            zip(*(column.tolist() for column in columns), strict=True), whole, part, coins, rest, strict=True
        )
    ]


def canonical_values(trades: Trades, partition: int, first_offset: int, schema_id: int) -> list[bytes]:
    """The canonical records of the same trades, as the normaliser writes them."""
    count = len(trades.id)
    symbols = [trades.names[symbol] for symbol in trades.symbol.tolist()]
    columns = TradeColumns(
        exchange="binance",
        symbol=symbols,
        trade_id=list(map(str, trades.id.tolist())),
        timestamp=(trades.time_ms * 1000).tolist(),
        receive_time=(trades.time_ms * 1000 + 2_000).tolist(),
        price=_literals(trades.price, PRICE_DIGITS),
        quantity=_literals(trades.quantity, QUANTITY_DIGITS),
        taker_buy=(~trades.buyer_is_maker).tolist(),
        sequence=trades.id.tolist(),
        trade_count=[1] * count,
        vendor_data={"E": list(map(str, (trades.time_ms + 1).tolist()))},
    )
    canonical = {name: BINANCE.canonical(name) for name in trades.names}
    return codec.encode(
        columns,
        decimals.parse(columns.price)[0],
        decimals.parse(columns.quantity)[0],
        canonical=[canonical[symbol] for symbol in symbols],
        raw_partition=partition,
        raw_offset=np.arange(first_offset, first_offset + count),
        process_time=START_MS * 1000,
        schema_id=schema_id,
    )


def _literals(values: NDArray[np.int64], digits: int) -> list[str]:
    wholes, parts = np.divmod(values, 10**digits)
    return [f"{whole}.{part:0{digits}d}" for whole, part in zip(wholes.tolist(), parts.tolist(), strict=True)]


def raw_batches(load: Load) -> Iterator[Batch]:
    """The raw topic."""
    for partition, trades in by_partition(generate(load), load.partitions):
        names = [name.encode() for name in trades.names]
        for _, batch in cut(trades):
            keys = [names[symbol] for symbol in batch.symbol.tolist()]
            yield Batch(partition, keys, raw_values(batch), batch.time_ms.tolist())


def canonical_batches(load: Load, schema_id: int) -> Iterator[Batch]:
    """The canonical topic."""
    for partition, trades in by_partition(generate(load), load.partitions):
        names = [f"binance:{BINANCE.canonical(name)}".encode() for name in trades.names]
        for start, batch in cut(trades):
            keys = [names[symbol] for symbol in batch.symbol.tolist()]
            values = canonical_values(batch, partition, start, schema_id)
            yield Batch(partition, keys, values, batch.time_ms.tolist())


def cut(trades: Trades) -> Iterator[tuple[int, Trades]]:
    """A partition's trades in batches, each with the offset of its first."""
    count = len(trades.id)
    for start in range(0, count, _BATCH):
        yield start, trades.rows(np.arange(start, min(start + _BATCH, count)))


async def send(bootstrap: str, topic: str, batches: Iterable[Batch]) -> None:
    """Write batches, each as one record batch."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=1_000_000) as producer:
        for batch in batches:
            await send_batch(producer, topic, batch)
            await asyncio.sleep(0)


async def send_batch(producer: AIOKafkaProducer, topic: str, batch: Batch) -> None:
    """Write a batch as one record batch."""
    built = producer.create_batch()
    for key, value, timestamp in zip(batch.keys, batch.values, batch.timestamps, strict=True):
        if built.append(key=key, value=value, timestamp=timestamp) is None:
            raise RuntimeError("a batch of the load does not fit 1 MB")
    built.close()
    await producer.send_batch(built, topic, partition=batch.partition)
