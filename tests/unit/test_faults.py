"""Bad records cost themselves; what all records would be stops the reader."""

import time

import numpy as np
import pytest
from faust.types import TP

from k2stream import deadletter, faults
from k2stream.avro import registry, wire
from k2stream.batch import RecordBatch
from k2stream.faults import Broken
from k2stream.layers import bronze, gold, silver
from k2stream.model.errors import RegistryUnavailable, UnknownSchema, Unreadable

FOREIGN = wire.header(4711) + b"x" * 80


def batch(*values, topic="t"):
    offsets = np.arange(40, 40 + len(values))
    return RecordBatch(TP(topic, 3), offsets, offsets, [b"kraken:BTC/USD"] * len(values), list(values))


def numbers(part):
    return [int(value) for value in part.values]


@pytest.mark.parametrize("bad", [[], [0], [6], [2, 3], [0, 1, 2, 3, 4, 5, 6]])
def test_unreadable_records_are_found_among_others(bad):
    values = [b"x" if row in bad else b"%d" % row for row in range(7)]
    rest, found, causes = faults.read(batch(*values), numbers)
    assert found == [row for row in range(7) if row not in bad]
    assert rest.offsets.tolist() == [40 + row for row in found]
    assert (rest.first_offset, rest.last_offset) == (40, 46)
    assert sorted(causes) == bad
    assert all("invalid literal" in cause for cause in causes.values())


def test_a_reader_may_name_the_rows_itself():
    def decode(part):
        if rows := {row: "bad" for row, value in enumerate(part.values) if value == b"x"}:
            raise Unreadable(rows)
        return numbers(part)

    assert faults.read(batch(b"1", b"x", b"2"), decode)[1:] == ([1, 2], {1: "bad"})


def test_a_large_delivery_that_fails_for_one_cause_is_a_broken_environment():
    junk = [b"junk %d" % number for number in range(faults.BROKEN_FROM)]
    with pytest.raises(Broken, match=r"none of the 100 records at offsets 40 to 139 of t\[3\] can be read"):
        faults.read(batch(*junk), numbers)
    assert len(faults.read(batch(*junk, b"1"), numbers)[2]) == faults.BROKEN_FROM
    assert len(faults.read(batch(*junk[1:]), numbers)[2]) == faults.BROKEN_FROM - 1


def test_a_registry_that_does_not_answer_is_no_bad_record():
    def decode(part):
        raise RegistryUnavailable("no answer")

    with pytest.raises(RegistryUnavailable, match="no answer"):
        faults.read(batch(b"1"), decode)


@pytest.fixture
def unknown(monkeypatch):
    """Schema 4711 is in no registry."""
    registry.learn(7, wire.declared("trade"))
    registry.learn(8, wire.declared("candle"))
    monkeypatch.setitem(registry._unknown, 4711, time.monotonic())


@pytest.mark.parametrize("route", [silver.ROUTE, gold.ROUTES[5], *bronze.ROUTES], ids=lambda r: r.table)
@pytest.mark.parametrize("value", [b"hello", None, b"", FOREIGN, wire.header(7) + b"\xff" * 40, b"{}"])
def test_a_sinks_reader_survives_any_record(route, value, unknown):
    """One of these ended hot and cold, again after each start."""
    rest, rows, causes = faults.read(batch(value, topic=route.topic), route.columns)
    assert (len(rest), len(rows), list(causes)) == (0, 0, [0])


def test_an_unknown_schema_is_asked_for_once_in_a_while(unknown):
    with pytest.raises(UnknownSchema, match="has no schema 4711"):
        registry.writer_schema(4711)


def test_a_letter_is_known_by_its_reader_and_place():
    made = [
        deadletter.of_record(batch(b"x"), 0, "bad", "kraken", stage="hot", time=time, reader="silver_trades")
        for time in (1, 2)
    ]
    assert made[0].identity == made[1].identity == ("hot", "silver_trades", "t", 3, 40)
