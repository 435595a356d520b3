"""The letter of a sink goes back into the one table that lacks its record, once."""

import pytest

from k2stream import deadletter, topics
from k2stream.avro import registry, wire
from k2stream.deadletter import DeadLetter
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.dlq import dead_letters
from k2stream.dlq.plan import Refused, plan
from k2stream.dlq.refusal import check_passed
from k2stream.dlq.sinks import put
from k2stream.iceberg import tables, writer
from k2stream.iceberg.catalog import open_catalog
from k2stream.settings import KafkaSettings, make

COLD = "cold.silver_trades"
TRADE = {
    "timestamp": 5,
    "receive_time": 6,
    "process_time": 7,
    "side": "BUY",
    "exchange": "kraken",
    **{name: (5).to_bytes(16, "big") for name in ("price", "quantity")},
    "raw_offset": 41,
    "sequence": 1,
    "raw_partition": 0,
    "trade_count": 1,
    "symbol": "a'b",
    "canonical_symbol": "A/B",
    "trade_id": "1",
    "vendor_data": {},
    "trade_conditions": [],
    "validation_errors": [],
}


def letter(value, *, reader=COLD, topic=topics.NORMALIZED, stage="cold"):
    kept = deadletter.original(value)
    return DeadLetter(
        cause="unknown schema", exchange="kraken", time=1, original=kept, stage=stage, reader=reader,
        topic=topic, partition=0, offset=7,
    )  # fmt: skip


@pytest.fixture
def settings(tmp_path):
    registry.learn(7, wire.declared("trade"))
    settings = make(data_dir=str(tmp_path))
    ready(settings, COLD, topics.NORMALIZED)
    return settings


def ready(settings, name, topic, end=7):
    """The table, which its sink has filled up to offset `end`."""
    table = tables.ensure(open_catalog(settings.iceberg), tables.TABLES[name])
    writer.commit_positions(table, {SourcePartition(topic, 0): SinkPosition(end)})


def held(settings):
    return open_catalog(settings.iceberg).load_table(COLD).scan().to_arrow()["raw_offset"].to_pylist()


def test_a_row_comes_into_the_table_once_however_often_it_is_put_back(settings):
    value = wire.write(TRADE, "trade", 7)
    assert [put(settings, letter(value)) for _ in range(2)] == [1, 0]
    assert held(settings) == [41]


def test_a_candle_comes_into_its_table_once(settings):
    registry.learn(8, wire.declared("candle"))
    ready(settings, "cold.gold_ohlcv_1m", topics.ohlcv("1m"))
    fields = wire.declared("candle")["fields"]
    plain = {"string": "a", "long": 1, "int": 0, "boolean": True}
    row = {one["name"]: plain.get(one["type"]) if isinstance(one["type"], str) else 60_000 for one in fields}
    row |= {one["name"]: b"\x05" for one in fields if "precision" in str(one["type"])}
    value = wire.write(row, "candle", 8)
    found = letter(value, reader="cold.gold_ohlcv_1m", topic=topics.ohlcv("1m"))
    assert [put(settings, found) for _ in range(2)] == [1, 0]


@pytest.mark.parametrize("end", [-1, 6])
def test_a_row_that_the_cold_worker_reads_again_itself_is_refused(settings, end):
    """Killed between a letter and its commit, it wrote the row once more; without a position, it refused."""
    ready(settings, COLD, topics.NORMALIZED, end)
    with pytest.raises(
        Refused, match=r"cold has not passed market\.crypto\.trades\.normalized\[0\] offset 7"
    ):
        put(settings, letter(wire.write(TRADE, "trade", 7)))
    assert held(settings) == []


def test_what_a_reader_has_passed_is_not_refused():
    check_passed(letter(b""), 8)
    with pytest.raises(Refused, match="start the worker, then try again"):
        check_passed(letter(b""), 7)


def test_what_still_cannot_be_read_is_refused(settings):
    with pytest.raises(Refused, match=r"cold\.silver_trades still cannot read it: not a record"):
        put(settings, letter(b"hello"))
    assert held(settings) == []


def test_the_plan_names_the_table_alone():
    found = plan(letter(b"x"), KafkaSettings())
    assert (found.topic, found.letter) == (COLD, letter(b"x"))
    hot = letter(b"x", stage="hot", reader="ohlcv_1m", topic=topics.ohlcv("1m"))
    assert plan(hot, KafkaSettings()).topic == "ohlcv_1m"
    for other in (letter(b"x", reader="other"), letter(b"x", topic=topics.ohlcv("1m"))):
        with pytest.raises(Refused, match="no table"):
            plan(other, KafkaSettings())


def test_a_letter_that_came_again_is_the_same():
    seen = set()
    assert [dead_letters.is_first(letter(b"x"), seen) for _ in range(2)] == [True, False]
    assert dead_letters.is_first(letter(b"x", stage="hot", reader="silver_trades"), seen)
