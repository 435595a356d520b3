"""Statements as the server classifies them, and compressed frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.embedded.clickhouse.blocks import compress, read_block, read_frame
from k2stream.embedded.clickhouse.reader import MalformedError, reader_of
from k2stream.embedded.clickhouse.statements import (
    Command,
    Insert,
    Select,
    parse,
    quote,
    split_data,
    split_format,
)


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        ("INSERT INTO t VALUES", Insert("INSERT INTO t", "", "Values", "DESCRIBE TABLE t")),
        ("insert into db.t (a, `b)`) FORMAT Native;",
         Insert("insert into db.t (a, `b)`)", "", "Native", "DESCRIBE (SELECT a, `b)` FROM db.t)")),
        ("/* x */ INSERT INTO `a b`.`c` SETTINGS async_insert = 0 FORMAT CSV",
         Insert("INSERT INTO `a b`.`c`", "SETTINGS async_insert = 0", "CSV", "DESCRIBE TABLE `a b`.`c`")),
        ("INSERT INTO FUNCTION null('a UInt8') VALUES",
         Insert("INSERT INTO FUNCTION null('a UInt8')", "", "Values", "DESCRIBE TABLE null('a UInt8')")),
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


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t (a) VALUES (1, 'x) FORMAT CSV')",
        "INSERT INTO t (a) VALUES ('b) VALUES",
        "INSERT INTO t SELECT 'x' FORMAT CSV",
        "INSERT INTO t SETTINGS a = 1, b = 'x' SELECT 1 FORMAT CSV",
    ],
)
def test_what_only_looks_like_an_insert_without_its_data(sql):
    assert parse(sql) == Command(sql)
    assert split_data(sql.encode() + b"\n1") is None


def test_data_are_split_from_their_insert():
    statement = Insert("INSERT INTO t (a)", "SETTINGS a = 1, b = 'x'", "CSV", "DESCRIBE (SELECT a FROM t)")
    sql = b"INSERT INTO t (a) SETTINGS a = 1, b = 'x'\nFORMAT CSV"
    assert split_data(sql + b"\n1\n\n2") == (statement, b"1\n\n2")
    assert split_data(sql + b" \r\n\xff") == (statement, b"\xff")
    assert split_data(sql + b" 1") == (statement, b"1")
    assert split_data(b"INSERT INTO t VALUES (1)") is None
    assert split_data(b"SELECT 1") is None


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
