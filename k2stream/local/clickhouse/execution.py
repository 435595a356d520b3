"""Execute a statement for a native client: result blocks out, inserted blocks in."""

import asyncio
import json
from contextlib import suppress
from typing import Any

from . import protocol, statements
from .blocks import EMPTY, Block, Columns, header, read_block
from .client import Client
from .engine import CANCELLED, QueryError, not_implemented
from .protocol import Packet
from .reader import MalformedError, Reader, reader_of
from .types import UnsupportedTypeError, parse_type

NOT_INSERTED = frozenset({"MATERIALIZED", "ALIAS", "EPHEMERAL"})


async def execute(client: Client, sql: str) -> None:
    """Send all packets of a query but the one that ends it. Raises QueryError: the client can go on."""
    match statements.parse(sql):
        case statements.Insert(head, describe):
            await _insert(client, head, describe)
        case statements.Select(statement):
            await _select(client, statement)
        case statements.Command(statement):
            await _command(client, statement)


async def _command(client: Client, sql: str) -> None:
    result = reader_of(await client.run(sql))
    first = True
    while result.position < len(result.buffer):
        block = await _result_block(result)
        if first:
            await client.send_data(header(block.columns))
            first = False
        await client.send_data(block.raw)
    await client.send_data(EMPTY)


async def _select(client: Client, sql: str) -> None:
    """Send the result block by block as it comes, until its end or the client's Cancel."""
    stream = await client.call(client.session.send_query, sql, "Native")
    next_packet = asyncio.ensure_future(client.reader.need(1))
    some = False
    try:
        while not _cancelled(client.reader, next_packet) and (chunk := await client.call(_fetch, stream)):
            raw, rows = chunk
            if not some:
                await client.send_data(header((await _result_block(reader_of(raw))).columns))
                some = True
            await client.send_data(raw)
            client.writer.write(protocol.progress(rows, len(raw)))
    finally:
        next_packet.cancel()
        await asyncio.wait([next_packet])
        await client.call(stream.close)
    if not some:  # for no rows the engine gives no block at all
        await client.send_data(header(await _describe(client, f"DESCRIBE ({sql})")))
    await client.send_data(EMPTY)


def _cancelled(reader: Reader, next_packet: asyncio.Future[None]) -> bool:
    if not next_packet.done():
        return False
    next_packet.result()  # raises EOFError when the client has left
    return reader.buffer[reader.position] == Packet.CANCEL


async def _insert(client: Client, head: str, describe: str) -> None:
    columns = await _describe(client, describe)
    try:
        for _, kind in columns:
            parse_type(kind)
    except UnsupportedTypeError as error:
        raise not_implemented(str(error)) from error
    inserter = await client.call(client.session.send_insert, head, "Native")
    try:
        await client.send_data(header(columns))
        await _append_blocks(client, inserter)
        written = await client.call(inserter.finish)
    finally:
        with suppress(QueryError):  # the error on its way is the one to tell
            await client.call(inserter.cancel)
    progress = protocol.progress(written_rows=written.rows_written, written_size=written.bytes_written)
    client.writer.write(progress)


async def _append_blocks(client: Client, inserter: Any) -> None:
    """Feed blocks up to the empty one. After an error they are still read: the client is sending them."""
    failure = None
    while True:
        match await client.reader.varint():
            case Packet.DATA:
                block = await client.read_data()
            case Packet.CANCEL:
                raise QueryError(CANCELLED, "DB::Exception: Insert was cancelled. (QUERY_WAS_CANCELLED)")
            case packet:
                raise MalformedError(f"unexpected packet {packet} in an insert")
        if not block.columns:
            break
        if block.rows and failure is None:
            try:
                await client.call(inserter.append, block.raw)
            except QueryError as error:
                failure = error
    if failure:
        raise failure


async def _describe(client: Client, sql: str) -> Columns:
    rows = json.loads(await client.run(sql, "JSONCompact") or '{"data": []}')["data"]
    return [(name, kind) for name, kind, default, *_ in rows if default not in NOT_INSERTED]


def _fetch(stream: Any) -> tuple[bytes, int] | None:
    chunk = stream.fetch()
    return None if chunk is None else (chunk.bytes(), chunk.rows_read())


async def _result_block(reader: Reader) -> Block:
    try:
        return await read_block(reader)
    except MalformedError as error:  # a column of an unsupported type
        raise not_implemented(str(error)) from error
