"""Packets of one revision of ClickHouse's native TCP protocol.

Source: ClickHouse's src/Core/Protocol.h and src/Server/TCPHandler.cpp.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from k2stream.embedded.clickhouse.blocks import (
    BLOCK_INFO,
    Block,
    compress,
    read_block,
    read_frame,
    skip_block_info,
    string,
    varint,
)
from k2stream.embedded.clickhouse.reader import BytesReader, MalformedError

# Below 54454 a block on the wire is exactly FORMAT Native, without custom serializations.
REVISION = 54448
VERSION = (26, 9, 2)


class Packet(IntEnum):
    """Packet types that clients send."""

    HELLO = 0
    QUERY = 1
    DATA = 2
    CANCEL = 3
    PING = 4
    TABLES_STATUS = 5
    SCALAR = 7


PONG = b"\x04"
END_OF_STREAM = b"\x05"


@dataclass(frozen=True, slots=True)
class NativeQuery:
    sql: str
    settings: dict[str, str]
    compressed: bool  # blocks in both directions


class Login(NamedTuple):
    """A user and a password, as a client gives them."""

    user: str
    password: str


class Hello(NamedTuple):
    """What a client says first; the database may be empty."""

    database: str
    login: Login


async def read_hello(reader: BytesReader) -> Hello:
    """Read the hello. Raises MalformedError."""
    packet = await reader.varint()
    if packet != Packet.HELLO:
        raise MalformedError(
            "HTTP on the native port" if packet in set(b"GPHO") else f"packet {packet}, not a hello"
        )
    await reader.string()  # client name
    await reader.varint()  # its version
    await reader.varint()
    revision = await reader.varint()
    if revision < REVISION:
        raise MalformedError(f"client revision {revision} is older than {REVISION}")
    database = await reader.string()
    return Hello(database, Login(await reader.string(), await reader.string()))


async def read_query(reader: BytesReader) -> NativeQuery:
    await reader.string()  # query id
    await _skip_client_info(reader)
    settings = {}
    while name := await reader.string():
        await reader.varint()  # flags
        settings[name] = await reader.string()
    await reader.string()  # secret between servers
    await reader.varint()  # stage
    compressed = bool(await reader.varint())
    return NativeQuery(await reader.string(), settings, compressed)


async def _skip_client_info(reader: BytesReader) -> None:
    if not await reader.integer(1):  # query kind 0: no client info
        return
    for _ in range(3):  # initial user, query id, address
        await reader.string()
    interface = await reader.integer(1)
    if interface == 1:  # TCP: OS user, host, client name; version, revision
        for _ in range(3):
            await reader.string()
        for _ in range(3):
            await reader.varint()
    elif interface == 2:  # HTTP: method, user agent, forwarded for, referer
        await reader.skip(1)
        for _ in range(3):
            await reader.string()
    await reader.string()  # quota key
    await reader.varint()  # distributed depth
    if interface == 1:
        await reader.varint()  # patch version
    if await reader.integer(1):  # trace: ids, state, flags
        await reader.skip(24)
        await reader.string()
        await reader.skip(1)


async def read_data(reader: BytesReader, compressed: bool) -> Block:
    """Read the body of a data packet."""
    await reader.string()  # temporary table
    if compressed:
        reader = BytesReader(lambda raw=reader: read_frame(raw))  # type: ignore[misc]
    await skip_block_info(reader)
    return await read_block(reader)


def hello(timezone: bytes) -> bytes:
    major, minor, patch = VERSION
    return (
        varint(Packet.HELLO) + string("ClickHouse") + varint(major) + varint(minor) + varint(REVISION)
        + string(timezone) + string("chdb") + varint(patch)
    )  # fmt: skip


def data(raw: bytes, compressed: bool) -> bytes:
    """A data packet with one block of FORMAT Native."""
    block = BLOCK_INFO + raw
    return b"\x01\x00" + (compress(block) if compressed else block)


def progress(rows: int = 0, size: int = 0, written_rows: int = 0, written_size: int = 0) -> bytes:
    total = 0  # unknown
    return b"\x03" + b"".join(map(varint, (rows, size, total, written_rows, written_size)))


def exception(code: int, message: str) -> bytes:
    name, stack_trace, nested = string("DB::Exception"), string(""), b"\x00"
    return b"\x02" + struct.pack("<i", code) + name + string(message) + stack_trace + nested


def tables_status(tables: list[tuple[str, str]]) -> bytes:
    """The answer that lists the existing tables, none of them replicated."""
    rows = (string(database) + string(table) + b"\x00" for database, table in tables)
    return b"\x09" + varint(len(tables)) + b"".join(rows)
