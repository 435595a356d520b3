"""The candles of each layer in one form: tables, topics, ClickHouse, Iceberg."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pyarrow as pa
import yaml

from k2stream import topics
from k2stream.model.errors import Unavailable
from k2stream.reconcile.oracle import avro, clickhouse, iceberg
from k2stream.reconcile.oracle.engine import OracleEngine
from k2stream.reconcile.oracle.parquet import ParquetWriter
from k2stream.reconcile.oracle.raw_log import Bounds, read_to_end
from k2stream.reconcile.oracle.rules import scaled
from k2stream.reconcile.oracle.unreadable import UnreadableRecords
from k2stream.reconcile.oracle.windows import TIMEFRAMES
from k2stream.settings import (
    ClickHouseSettings,
    FeedSettings,
    IcebergSettings,
    KafkaSettings,
    Settings,
)

TEXT = ("exchange", "symbol", "canonical_symbol", "timeframe")
NUMBERS = (
    *("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume"),
    *("taker_buy_quote_volume", "vwap"),
)
WHOLE = (
    *("open_time", "close_time", "trade_count", "first_trade_time", "last_trade_time", "revision", "final"),
    *("raw_partition", "raw_offset"),
)
_NAMES = (*TEXT, *NUMBERS, *WHOLE)
_SCHEMA = pa.schema([(name, pa.int64() if name in WHOLE else pa.string()) for name in _NAMES])
_AT_ONCE = 8
_EXACT = Context(prec=100)  # the default rounds to 28 digits
END_MS = 9_999_999_999_999
"""The year 2286, after every window."""


class ListedInstrument(NamedTuple):
    """A native symbol of an exchange with its canonical symbol, as listed in the instruments file."""

    exchange: str
    symbol: str
    canonical: str


def listed(settings: FeedSettings) -> list[ListedInstrument]:
    """The symbols of the instruments file, for exchanges that are on."""
    content = yaml.safe_load(Path(settings.instruments_file).read_text(encoding="utf-8"))
    return [
        ListedInstrument(exchange, item["symbol"], item["canonical"])
        for exchange, found in content.items()
        if exchange in topics.EXCHANGES
        for item in found or ()
    ]


def _table(
    engine: OracleEngine, name: str, path: Path, numbers: str, source: str = "", *, repeats: bool = False
) -> None:
    """Create a table of candles from a Parquet file; `numbers` is SQL for a decimal at scale 18.

    `repeats`: the layer may have a revision several times, which count as one.
    """
    sql = {column: numbers.format(column) for column in NUMBERS}
    sql |= {column: f"toInt64(assumeNotNull({column}))" for column in WHOLE}
    sql |= {column: f"toString(assumeNotNull({column}))" for column in TEXT}
    selected = ", ".join(f"{sql[column]} AS {column}" for column in _NAMES)
    source = source or f"file('{path}', Parquet)"
    engine.table(
        name,
        f"SELECT {'DISTINCT' if repeats else ''} {selected} FROM {source}",
        "(exchange, symbol, timeframe, open_time)",
    )


async def tables(settings: Settings, engine: OracleEngine, name: str, url: str, path: Path) -> None:
    """Load the candle tables as the candles worker serves them."""
    with ParquetWriter(path, _SCHEMA) as writer:
        writer.rows(map(_spoken, await served(settings, url, listed(settings.feeds))))
    _table(engine, name, path, "toInt256({})")


async def served(
    settings: Settings, url: str, instruments: Sequence[ListedInstrument]
) -> list[dict[str, Any]]:
    """Every candle of the tables over REST, with the names of its symbol and timeframe.

    Raises Unavailable when the candles worker does not answer, e.g. while its tables recover.
    """
    gate, away = asyncio.Semaphore(_AT_ONCE), None
    found: list[dict[str, Any]] = []

    async def read(client: httpx.AsyncClient, item: ListedInstrument, timeframe: str) -> None:
        where = f"{url}/ohlcv/{item.exchange}/{item.canonical.replace('/', '-')}/{timeframe}"
        # Set an end: without one, the answer leaves out windows that only have trades dated ahead.
        asked = {"limit": str(settings.candles.retention), "end": str(END_MS), "source": "tables"}
        async with gate:
            answer = await client.get(where, params=asked)
        answer.raise_for_status()
        named = dict(zip(TEXT, (*item, timeframe), strict=True))
        found.extend({**candle, **named} for candle in answer.json()["candles"])

    client = httpx.AsyncClient(timeout=30, trust_env=False, **settings.worker.web_connection)
    try:
        async with client, asyncio.TaskGroup() as group:
            for item in instruments:
                for timeframe in TIMEFRAMES:
                    group.create_task(read(client, item, timeframe))
    except* httpx.HTTPError as failed:
        error = failed.exceptions[0]
        why = str(error).partition("\n")[0] or repr(error)
        away = Unavailable(
            f"the candles worker at {url} does not serve its tables: {why}; `k2 status` says how it is"
        )
    if away:
        raise away
    return found


def _spoken(fields: Mapping[str, Any]) -> list[Any]:
    numbers = (f"{_EXACT.scaleb(Decimal(fields[name]), 18):f}".partition(".")[0] for name in NUMBERS)
    return [*(fields[name] for name in TEXT), *numbers, *(int(fields[name]) for name in WHOLE)]


async def topic(
    settings: KafkaSettings,
    engine: OracleEngine,
    name: str,
    retained: Mapping[str, Bounds],
    path: Path,
    bad: UnreadableRecords,
) -> None:
    """Load every record of the candle topics; `retained` has their bounds by timeframe."""
    records = avro.Records(settings, "candle")
    with ParquetWriter(path, _SCHEMA) as writer:
        for timeframe, bounds in retained.items():
            where = topics.ohlcv(timeframe)
            async for partition, batch in read_to_end(settings, where, bounds):
                writer.rows(_decoded(records, where, partition, batch, bad))
    _table(engine, name, path, "toInt256({})", repeats=True)


def _decoded(
    records: avro.Records, where: str, partition: int, batch: Any, bad: UnreadableRecords
) -> Iterator[list[Any]]:
    for record in batch:
        fields = records.read(record.value)
        if fields is None:
            bad.add(where, partition, record.offset, record.value)
        else:
            numbers = (avro.number(fields[name]) for name in NUMBERS)
            yield [*(fields[name] for name in TEXT), *numbers, *(int(fields[name]) for name in WHOLE)]


def hot(settings: ClickHouseSettings, engine: OracleEngine, name: str, folder: Path) -> None:
    """Load ClickHouse's gold views."""
    sql = {column: f"toString(stored.{column})" for column in (*TEXT, *NUMBERS)}
    sql |= {column: f"toInt64(stored.{column})" for column in WHOLE}
    sql |= {column: f"toUnixTimestamp64Milli(stored.{column})" for column in ("open_time", "close_time")}
    micros = ("first_trade_time", "last_trade_time")
    sql |= {column: f"toUnixTimestamp64Micro(stored.{column})" for column in micros}
    columns = {column: (sql[column], _SCHEMA.field(column).type) for column in _NAMES}
    for timeframe in TIMEFRAMES:
        path = folder / f"hot-gold-{timeframe}.parquet"
        clickhouse.dump(settings, f"ohlcv_{timeframe}_view", columns, path)
    _table(engine, name, folder, scaled("{}"), f"file('{folder}/hot-gold-*.parquet', Parquet)")


def cold(settings: IcebergSettings, engine: OracleEngine, name: str, folder: Path) -> None:
    """Load Iceberg's gold: one row per revision. Its open and close times are stored in µs."""
    found = [
        iceberg.dump(settings, f"gold_ohlcv_{timeframe}", folder / f"cold-gold-{timeframe}.parquet")
        for timeframe in TIMEFRAMES
    ]
    if not any(found):
        with ParquetWriter(folder / "cold-gold.parquet", _SCHEMA):
            pass
        return _table(engine, name, folder / "cold-gold.parquet", "toInt256({})")
    milli = ", ".join(f"intDiv({column}, 1000) AS {column}" for column in ("open_time", "close_time"))
    source = f"(SELECT * REPLACE ({milli}) FROM file('{folder}/cold-gold-*.parquet', Parquet))"
    return _table(engine, name, folder, f"assumeNotNull({scaled('{}')})", source, repeats=True)
