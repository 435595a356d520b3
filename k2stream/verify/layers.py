"""What each layer holds, read through the layer's own public interface."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.compute as pc

from k2stream.candle import TIMEFRAMES
from k2stream.cold.catalog import open_catalog
from k2stream.instruments import Instruments
from k2stream.settings import Settings
from k2stream.sinks.clickhouse import connect
from k2stream.topics import EXCHANGES
from k2stream.verify.compare import LayerCandle
from k2stream.verify.oracle import CandleKey, LayerSum, OracleCandle

_DECIMALS = OracleCandle._fields[:9]
_SCALE = 18
_MICROSECONDS = 1_000
_AT_ONCE = 8

Candles = dict[CandleKey, LayerCandle]


def scaled(value: object) -> int:
    """A decimal, or its text, as a whole number at scale 18. Raises ValueError when digits would be lost."""
    with localcontext(prec=100):
        number = Decimal(str(value)).scaleb(_SCALE)
        if number != int(number):
            raise ValueError(f"{value} has more than {_SCALE} fraction digits")
        return int(number)


async def table_candles(url: str, instruments: Instruments, limit: int) -> Candles:
    """The candle tables, over the REST interface of the candles worker."""
    gate = asyncio.Semaphore(_AT_ONCE)
    found: Candles = {}

    async def read(client: httpx.AsyncClient, exchange: str, symbol: str, name: str, timeframe: str) -> None:
        path = f"{url}/ohlcv/{exchange}/{name.replace('/', '-')}/{timeframe}"
        async with gate:
            answer = await client.get(path, params={"limit": limit, "source": "tables"})
        answer.raise_for_status()
        for candle in answer.json()["candles"]:
            found[exchange, symbol, timeframe, int(candle["open_time"])] = _candle(candle)

    async with httpx.AsyncClient(timeout=30) as client, asyncio.TaskGroup() as group:
        for item in instruments:
            for timeframe in TIMEFRAMES:
                group.create_task(read(client, item.exchange, item.symbol, item.canonical, timeframe))
    return found


def _candle(fields: Mapping[str, Any]) -> LayerCandle:
    numbers = [scaled(fields[name]) for name in _DECIMALS]
    rest = (fields["trade_count"], fields["first_trade_time"], fields["last_trade_time"])
    last = (int(fields["revision"]), int(fields["raw_offset"]))
    return LayerCandle(OracleCandle._make((*numbers, *map(int, rest), *last)), bool(fields["final"]))


def clickhouse_candles(settings: Settings) -> Candles:
    """The gold views in ClickHouse."""
    client = connect(settings)
    decimals = ", ".join(f"toString({name})" for name in _DECIMALS)
    found: Candles = {}
    for timeframe in TIMEFRAMES:
        rows = client.execute(
            f"""SELECT exchange, symbol, toUnixTimestamp64Milli(open_time), {decimals}, trade_count,
                       toUnixTimestamp64Micro(first_trade_time), toUnixTimestamp64Micro(last_trade_time),
                       revision, final, raw_offset
                FROM {settings.clickhouse_database}.ohlcv_{timeframe}_view"""
        )
        found.update(_rows(timeframe, rows))
    return found


def _rows(timeframe: str, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[CandleKey, LayerCandle]]:
    for exchange, symbol, open_time, *values in rows:
        *numbers, revision, final, raw_offset = values
        decimals = [scaled(number) for number in numbers[:9]]
        candle = OracleCandle._make((*decimals, *map(int, numbers[9:]), int(revision), int(raw_offset)))
        yield (str(exchange), str(symbol), timeframe, int(open_time)), LayerCandle(candle, bool(final))


def iceberg_candles(settings: Settings) -> Candles:
    """The gold tables in Iceberg: the highest revision of each candle."""
    catalog = open_catalog(settings)
    found: Candles = {}
    for timeframe in TIMEFRAMES:
        table = catalog.load_table(f"cold.gold_ohlcv_{timeframe}").scan().to_arrow()
        columns = [table["exchange"], table["symbol"], _epoch(table["open_time"], _MICROSECONDS)]
        columns += [table[name] for name in (*_DECIMALS, "trade_count")]
        columns += [_epoch(table[name], 1) for name in ("first_trade_time", "last_trade_time")]
        columns += [table[name] for name in ("revision", "final", "raw_offset")]
        rows = zip(*(column.to_pylist() for column in columns), strict=True)
        for key, candle in _rows(timeframe, list(rows)):
            if key not in found or found[key].values.records < candle.values.records:
                found[key] = candle
    return found


def _epoch(column: Any, divisor: int) -> Any:
    micros = pc.cast(pc.cast(column, pa.timestamp("us", tz="UTC")), pa.int64())
    return pc.divide(micros, divisor)


def clickhouse_sums(settings: Settings) -> dict[str, dict[str, LayerSum]]:
    """Rows and sums per exchange of silver, and rows of bronze (as {exchange: rows, 0, 0})."""
    client = connect(settings)
    database = settings.clickhouse_database
    silver = client.execute(
        f"""SELECT exchange, count(), toString(sum(toDecimal256(price, 18))),
                   toString(sum(toDecimal256(quantity, 18)))
            FROM {database}.silver_trades FINAL GROUP BY exchange"""
    )
    bronze = {}
    for name in EXCHANGES:
        (rows,) = client.execute(f"SELECT count() FROM {database}.bronze_trades_{name} FINAL")[0]
        bronze[name] = LayerSum(rows, 0, 0)
    return {
        "silver": {
            str(name): LayerSum(rows, scaled(price), scaled(size)) for name, rows, price, size in silver
        },
        "bronze": {name: held for name, held in bronze.items() if held.rows},
    }


def iceberg_sums(settings: Settings) -> dict[str, dict[str, LayerSum]]:
    """The same as `clickhouse_sums`, of the cold tier; a row that stands twice counts twice."""
    catalog = open_catalog(settings)
    columns = ("exchange", "price", "quantity")
    table = catalog.load_table("cold.silver_trades").scan(selected_fields=columns).to_arrow()
    silver = {}
    for name in pc.unique(table["exchange"]).to_pylist():
        part = table.filter(pc.equal(table["exchange"], name))
        silver[name] = LayerSum(
            part.num_rows, scaled(pc.sum(part["price"])), scaled(pc.sum(part["quantity"]))
        )
    bronze = {}
    for name in EXCHANGES:
        bronze[name] = LayerSum(catalog.load_table(f"cold.bronze_trades_{name}").scan().count(), 0, 0)
    return {"silver": silver, "bronze": {name: held for name, held in bronze.items() if held.rows}}
