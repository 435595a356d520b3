"""Statements as the server classifies them, and compressed frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.local.clickhouse.blocks import compress, read_block, read_frame
from k2stream.local.clickhouse.reader import MalformedError, reader_of
from k2stream.local.clickhouse.statements import Command, Insert, Select, parse, quote, split_format


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        ("INSERT INTO t VALUES", Insert("INSERT INTO t ", "DESCRIBE TABLE t")),
        ("insert into db.t (a, `b)`) FORMAT Native;",
         Insert("insert into db.t (a, `b)`) ", "DESCRIBE (SELECT a, `b)` FROM db.t)")),
        ("/* x */ INSERT INTO `a b`.`c` SETTINGS async_insert = 0 VALUES",
         Insert("INSERT INTO `a b`.`c` SETTINGS async_insert = 0 ", "DESCRIBE TABLE `a b`.`c`")),
        ("INSERT INTO FUNCTION null('a UInt8') VALUES",
         Insert("INSERT INTO FUNCTION null('a UInt8') ", "DESCRIBE TABLE null('a UInt8')")),
        ("INSERT INTO t VALUES (1)", Command("INSERT INTO t VALUES (1)")),
        ("INSERT INTO t SELECT 1", Command("INSERT INTO t SELECT 1")),
        ("-- note\nSELECT 1;", Select("SELECT 1")),
        ("WITH 1 AS x SELECT x FORMAT JSON", Select("WITH 1 AS x SELECT x")),
        ("(SELECT 1)", Select("(SELECT 1)")),
        ("SHOW TABLES", Command("SHOW TABLES")),
        ("CREATE TABLE t (a UInt8) ENGINE = Memory", Command("CREATE TABLE t (a UInt8) ENGINE = Memory")),
    ],
)  # fmt: skip
def test_statement(sql, statement):
    assert parse(sql) == statement


def test_trailing_format():
    assert split_format("SELECT 1 format JSONEachRow ;") == ("SELECT 1 ", "JSONEachRow")
    assert split_format("SELECT 'FORMAT x'") == ("SELECT 'FORMAT x'", None)


def test_literals_are_escaped():
    assert quote("a'b\\") == "'a\\'b\\\\'"


@given(st.binary(min_size=1, max_size=5000))
async def test_a_frame_round_trips(data):
    assert await read_frame(reader_of(compress(data))) == data


@pytest.mark.parametrize("position", [0, 16, 17, 21, 25, -1])
async def test_a_damaged_frame_is_malformed(position):
    frame = bytearray(compress(b"0123456789" * 10))
    frame[position] ^= 1
    with pytest.raises((MalformedError, EOFError)):
        await read_frame(reader_of(bytes(frame)))


async def test_a_block_of_an_unsupported_type_is_malformed():
    with pytest.raises(MalformedError, match="JSON"):
        await read_block(reader_of(b"\x01\x01\x01a\x04JSON\x00"))
