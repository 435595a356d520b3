"""The oracle's rules, stated a second time, give what the normaliser gives of the same raw records."""

import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faust.types import TP

from k2stream import exchanges, topics
from k2stream.avro import registry, wire
from k2stream.batch import RecordBatch
from k2stream.normalizer import normalize
from k2stream.reconcile.oracle import avro, candles, trades, windows
from k2stream.reconcile.oracle.compare import OracleLayer, compare
from k2stream.reconcile.oracle.compare_candles import compare_candles
from k2stream.reconcile.oracle.engine import OracleEngine
from k2stream.reconcile.oracle.parquet import ParquetWriter
from k2stream.reconcile.oracle.rules import scaled
from k2stream.replay.rebuild import Rebuild
from k2stream.resources import SCHEMAS
from k2stream.settings import KafkaSettings, Settings
from tests.unit.reconcile.oracle.kit import expected, record
from tests.unit.reconcile.oracle.test_compare import BASE

ID = 1003
COUNT = 250
CANONICAL = {"XBT/USD": "BTC/USD", "BTCUSDT": "BTC/USDT"}


def times(random, count):
    """Trade and receive times in ms: mostly forward, some back, some far ahead."""
    now = BASE
    for _ in range(count):
        now += random.choice((0, 1, 1, 40, 900))
        ahead = random.choice((0, 0, 0, -70_000, 400_000))
        yield now + (ahead if random.random() < 0.1 else 0), now


def number(random):
    return random.choice(("1.50", "2", "0.000001", "1e-3", "83298.34", "none", "-1", "0", "1e13"))


def binance(random):
    """Of some aggregated trades, one or all of those that they stand for come as well, before or after."""
    made = []
    for number_of, (time, received) in enumerate(times(random, COUNT)):
        fields = {"e": "trade", "E": time, "s": random.choice(("BTCUSDT", "ETHUSDT")), "t": 3 * number_of}
        fields |= {"p": "83298.34" if random.random() < 0.8 else number(random), "q": "0.007"}
        fields |= {"T": time, "m": random.random() < 0.5, "M": True}
        if random.random() < 0.2:
            fields |= {"e": "aggTrade", "a": number_of, "f": 3 * number_of, "l": 3 * number_of + 2}
            del fields["t"]
            plain = {name: value for name, value in fields.items() if name not in "afl"} | {"e": "trade"}
            ids = range(fields["f"], fields["l"] + 1) if random.random() < 0.5 else [fields["f"] + 1]
            again = [({**plain, "t": one}, received) for one in ids] if random.random() < 0.3 else []
            made += [*again, (fields, received)] if random.random() < 0.5 else [(fields, received), *again]
        else:
            made.append((fields, received))
    return repeated(random, made)


def kraken(random):
    made = []
    for time, received in times(random, COUNT):
        fields = {"pair": random.choice(("XBT/USD", "XDG/USD")), "volume": random.choice(("1", "1.0", "2"))}
        fields |= {"price": "1.5" if random.random() < 0.8 else number(random), "time": f"{time / 1000:.6f}"}
        made.append(
            (fields | {"side": random.choice("bs"), "orderType": random.choice("lm"), "misc": ""}, received)
        )
    return repeated(random, made)


def coinbase(random):
    made = []
    for number_of, (time, received) in enumerate(times(random, COUNT)):
        moment = np.datetime64(time, "ms").astype(str) + "123Z"
        fields = {
            "trade_id": str(7 * number_of),
            "product_id": "BTC-USD",
            "price": "1.5",
            "size": number(random),
        }
        fields |= {"side": random.choice(("BUY", "SELL")), "time": moment, "type": "update"}
        made.append((fields, received))
    return repeated(random, made)


def repeated(random, made):
    """Records, some told again a little later by another connection, some fetched, one unreadable."""
    rows = []
    for number_of, (fields, received) in enumerate(made):
        ingest = {"k2_recv": received * 1000 + 7, "k2_conn": "a", "k2_seq": number_of}
        if random.random() < 0.03:
            ingest |= {"k2_conn": "x-rest-1", "k2_backfilled": True}
        rows.append((number_of, fields | ingest))
        if random.random() < 0.1:
            rows.append((number_of + random.randint(1, 9), fields | ingest | {"k2_conn": "b"}))
    rows.sort(key=lambda row: row[0])
    return [*(record(fields) for _, fields in rows), b"{}"]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("make", [binance, kraken, coinbase])
def test_what_the_normaliser_makes_is_what_the_oracle_expects(tmp_path, make, seed):
    name = make.__name__
    values = make(random.Random(seed))
    exchange, topic = exchanges.get(name), topics.raw(name)
    registry.learn(ID, wire.declared("trade"))
    count = len(values)
    batch = RecordBatch(TP(topic, 0), np.arange(count), np.full(count, BASE), [b"k"] * count, values)
    canonical_of = lambda symbol: CANONICAL.get(symbol) or exchange.canonical(symbol)  # noqa: E731
    done = normalize(exchange, batch, lambda symbol: None, canonical_of, schema_id=ID, process_time=1)
    reader = avro.Records(KafkaSettings(), "trade")
    reader._writers = {ID: avro._parsed((SCHEMAS / "avro" / "trade.avsc").read_text())}
    with ParquetWriter(tmp_path / "canonical.parquet", trades._SCHEMA) as writer:
        writer.rows(trades._row(reader.read(value) or {}) for value in done.values)
    letters = [(topic, letter.offset, letter.original_bytes) for letter in done.dead_letters]
    with OracleEngine() as engine:
        trades.table(engine, "canonical", tmp_path / "canonical.parquet")
        expected(engine, tmp_path, {name: values}, letters=letters)
        found = compare(engine, OracleLayer("canonical", "canonical", "silver"))
        assert [str(item) for item in found.differences] == []
        assert 0.3 * count < found.compared < count
        bad = "offset NOT IN (SELECT raw_offset FROM trades WHERE good AND NOT doubtful)"
        assert engine.number(f"SELECT count() FROM letters WHERE NOT {bad}") == 0
        rebuilt = Rebuild(Settings())
        rebuilt.take(name, batch)
        for number_of, rows in enumerate(rebuilt.candles(10_000)):
            gold(rows.rows, tmp_path / f"cold-gold-{number_of}.parquet")
        source = f"file('{tmp_path}/cold-gold-*.parquet', Parquet)"
        candles._table(engine, "gold", tmp_path, f"assumeNotNull({scaled('{}')})", source)
        windows.mixed(engine, ["silver"], "1")
        windows.expected_candles(engine, ["gold", "needed"])
        result = compare_candles(engine, "gold", "gold")
        assert [str(item) for item in result.differences] == []
        assert result.compared >= 8


def gold(rows, path):
    """Rows of a route as Iceberg's are dumped: times are whole numbers."""
    for index, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            unit = field.type.unit
            rows = rows.set_column(
                index, field.name, rows[field.name].cast(pa.timestamp(unit)).cast(pa.int64())
            )
    pq.write_table(rows, path)
