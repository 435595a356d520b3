"""The oracle's readers: Avro by fastavro, REST's candles, topics whose offsets expire while they are read."""

import json
from decimal import Decimal
from functools import partial
from types import SimpleNamespace

import httpx
import pyarrow as pa
import pytest
from aiokafka.errors import OffsetOutOfRangeError
from clickhouse_driver import errors

from k2stream.avro import candles as codec
from k2stream.model.decimals import plain as text
from k2stream.model.errors import ConfigError, NoServer, Unavailable
from k2stream.reconcile.oracle import avro, candles, clickhouse, raw_log, trades, unreadable
from k2stream.reconcile.oracle.engine import OracleEngine
from k2stream.reconcile.oracle.parquet import ParquetWriter
from k2stream.reconcile.oracle.raw_log import RetainedOffsets
from k2stream.resources import SCHEMAS
from k2stream.settings import KafkaSettings, Settings, make
from tests.unit.web.test_render import candle

ID = 1003


def records(kind):
    made = avro.Records(KafkaSettings(), kind)
    made._writers = {ID: avro._parsed((SCHEMAS / "avro" / f"{kind}.avsc").read_text()), 7: None}
    return made


def test_what_the_pipeline_writes_is_read_apart_from_it():
    whole = candle(3)._replace(high=Decimal("12.5"))
    row = dict(whole._asdict())
    row |= {name: int(row[name].scaleb(18)) for name in candles.NUMBERS}
    value = codec.encode(tuple(row.values()), ID)
    found = records("candle").read(value)
    assert {name: int(avro.number(found[name])) for name in candles.NUMBERS} == {
        name: row[name] for name in candles.NUMBERS
    }
    for name in (*candles.TEXT, *candles.WHOLE):
        assert found[name] == row[name]


@pytest.mark.parametrize("value", [None, b"", b"{}", b"\\0\\0\\0", (7).to_bytes(5, "big") + b"x" * 40])
def test_what_is_no_record_is_told(value):
    assert records("candle").read(value) is None


def test_a_record_with_bytes_behind_it_is_none():
    row = dict(candle(3)._replace(high=Decimal("12.5"))._asdict())
    row |= {name: int(row[name].scaleb(18)) for name in candles.NUMBERS}
    value = codec.encode(tuple(row.values()), ID)
    assert records("candle").read(value + b"x") is None
    assert records("candle").read(value[:-3]) is None


def test_numbers_of_rest_keep_their_digits():
    fields = dict(candle(3)._asdict())
    fields |= {name: text(fields[name]) for name in candles.NUMBERS}
    spoken = dict(zip(candles._NAMES, candles._spoken(json.loads(json.dumps(fields))), strict=True))
    assert spoken["high"] == "1" + "0" * 38
    assert spoken["low"] == "1"


def test_no_digit_of_rest_is_rounded():
    """A day's quote volume may have 13 integer digits, and more."""
    fields = dict(candle(3)._asdict()) | dict.fromkeys(candles.NUMBERS, "1")
    fields |= {"quote_volume": "98765432109876.123456789012345678"}
    spoken = dict(zip(candles._NAMES, candles._spoken(fields), strict=True))
    assert spoken["quote_volume"] == "98765432109876123456789012345678"


async def test_offsets_that_expire_while_they_are_read_are_an_error(monkeypatch):
    class Consumer:
        def __init__(self, **options):
            assert options["auto_offset_reset"] == "none"

        async def start(self):
            pass

        stop = start

        def assign(self, partitions):
            pass

        def seek(self, partition, offset):
            pass

        async def position(self, partition):
            return 0

        async def getmany(self, timeout_ms):
            raise OffsetOutOfRangeError({"t": 0})

    monkeypatch.setattr(raw_log, "AIOKafkaConsumer", Consumer)
    with pytest.raises(ConfigError, match="expired or were cut off while they were read"):
        async for _ in raw_log.read_to_end(KafkaSettings(), "t", {0: RetainedOffsets(0, 5)}):
            pass


@pytest.mark.parametrize("broken", [httpx.Response(503, json={}), httpx.ConnectError("refused")])
async def test_a_candles_worker_that_does_not_serve_is_one_line(monkeypatch, broken):
    def answer(request):
        if isinstance(broken, Exception):
            raise broken
        return broken

    client = partial(httpx.AsyncClient, transport=httpx.MockTransport(answer))
    monkeypatch.setattr(httpx, "AsyncClient", client)
    listed = [candles.ListedInstrument("kraken", "XBT/USD", "BTC/USD")]
    with pytest.raises(
        Unavailable, match=r"^the candles worker at http://k2 does not serve .*; `k2 status` .*$"
    ):
        await candles.served(Settings(), "http://k2", listed)


class Refusing:
    """A client of a server that has no tables yet."""

    def execute_iter(self, query):
        raise errors.ServerException(
            "DB::Exception: Unknown table k2.silver_trades. Stack trace:\n0. here", 60
        )

    def disconnect(self):
        pass


def test_no_clickhouse_and_what_it_refuses_are_one_line(tmp_path, monkeypatch):
    settings = make(clickhouse_port=1).clickhouse
    with OracleEngine() as engine:
        with pytest.raises(NoServer, match=r"^no ClickHouse at 127\.0\.0\.1:1 \(.*\): start a platform with"):
            trades.hot(settings, engine, "hot", tmp_path / "hot.parquet")
        monkeypatch.setattr(clickhouse, "connect", lambda settings: Refusing())
        with pytest.raises(ConfigError, match=r"refused the query: Unknown table .*trades\.$"):
            trades.hot(settings, engine, "hot", tmp_path / "hot.parquet")


def test_a_disk_that_is_full_is_not_a_server_that_is_away(tmp_path, monkeypatch):
    class Client(Refusing):
        def execute_iter(self, query):
            yield (1,)

    def full(self, rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(clickhouse, "connect", lambda settings: Client())
    monkeypatch.setattr(ParquetWriter, "rows", full)
    with pytest.raises(OSError, match="No space left"):
        clickhouse.dump(make().clickhouse, "t", {"a": ("a", pa.int64())}, tmp_path / "a.parquet")


GOOD = b'{"exchange":"binance","stage":"normalize","topic":"t","partition":0,"offset":7,"original":"YQ=="}'


@pytest.mark.parametrize(
    "junk",
    [
        None,
        b"",
        b"[]",
        b"[" * 100_000,
        GOOD.replace(b'"binance"', b"1"),
        GOOD.replace(b'"binance"', b"null"),
        GOOD.replace(b'"binance"', b'"\\ud800"'),
        GOOD.replace(b'"t"', b"{}"),
        GOOD.replace(b":0,", b":null,"),
        GOOD.replace(b":7,", b':"7",'),
        GOOD.replace(b":7,", b":true,"),
        GOOD.replace(b":7,", b":9223372036854775808,"),
        GOOD.replace(b'"YQ=="', b"1"),
    ],
)
async def test_a_record_that_is_no_dead_letter_costs_no_letter(tmp_path, monkeypatch, junk):
    async def read(*_):
        yield 0, [SimpleNamespace(offset=at, value=value) for at, value in enumerate((GOOD, junk, GOOD))]

    monkeypatch.setattr(unreadable, "read_to_end", read)
    bad = unreadable.UnreadableRecords()
    with OracleEngine() as engine:
        await unreadable.letters(KafkaSettings(), engine, {}, tmp_path / "letters.parquet", bad)
        assert unreadable.lettered(engine, "t", 0).tolist() == [7, 7]
    assert [offset for _, _, offset, _ in bad._rows] == [1]


async def test_windows_of_trades_dated_ahead_are_read_from_the_tables(monkeypatch):
    """Look-ups of the newest candles leave them out."""
    asked = []

    def answer(request):
        asked.append(dict(request.url.params))
        return httpx.Response(200, json={"candles": []})

    client = partial(httpx.AsyncClient, transport=httpx.MockTransport(answer))
    monkeypatch.setattr(httpx, "AsyncClient", client)
    await candles.served(Settings(), "http://k2", [candles.ListedInstrument("kraken", "XBT/USD", "BTC/USD")])
    assert len(asked) == 6
    assert all(int(parameters["end"]) > 4_102_444_800_000 for parameters in asked)
