"""Serves one client of the native TCP protocol: handshake, packets, and the frame of a query."""

import asyncio
import logging

from k2stream.embedded.clickhouse import protocol
from k2stream.embedded.clickhouse.client import ServerClient
from k2stream.embedded.clickhouse.engine import (
    QueryError,
    ServerEngine,
    apply_settings,
    not_implemented,
    reset_settings,
)
from k2stream.embedded.clickhouse.execution import execute
from k2stream.embedded.clickhouse.logins import Door
from k2stream.embedded.clickhouse.protocol import Packet
from k2stream.embedded.clickhouse.reader import BytesReader, MalformedError
from k2stream.embedded.clickhouse.statements import identifier

log = logging.getLogger(__name__)

READ = 1 << 20
NOT_SETTINGS = frozenset({"run_query_in_background"})  # valid for a query only, rejected by SET


async def serve(
    stream: asyncio.StreamReader, writer: asyncio.StreamWriter, engine: ServerEngine, door: Door | None = None
) -> None:
    """Serve until the client disconnects; malformed bytes are logged and close the connection."""
    session = await engine.call(engine.session)
    try:
        await _serve(ServerClient(BytesReader(lambda: stream.read(READ)), writer, engine, session), door)
    except (EOFError, ConnectionError):
        pass  # the client disconnected
    except MalformedError as error:
        log.warning("native client %s: %s: connection closed", writer.get_extra_info("peername"), error)
    finally:
        writer.close()
        await engine.call(session.close)


async def _serve(client: ServerClient, door: Door | None) -> None:
    reader, writer = client.reader, client.writer
    hello = await protocol.read_hello(reader)
    try:
        if door:
            door.check(hello.login)
        if hello.database:
            await client.run(f"USE {identifier(hello.database)}")
    except QueryError as error:
        writer.write(protocol.exception(error.code, error.message))
        return
    timezone = await client.run("SELECT timezone()", "TSVRaw")
    writer.write(protocol.hello(timezone.strip()))
    while True:
        await writer.drain()
        reader.compact()
        match await reader.varint():
            case Packet.QUERY:
                writer.write(await _query(client))
            case Packet.PING:
                writer.write(protocol.PONG)
            case Packet.CANCEL:
                pass  # its query has ended already
            case Packet.TABLES_STATUS:
                writer.write(await _tables_status(client))
            case packet:
                raise MalformedError(f"unexpected packet {packet}")


async def _query(client: ServerClient) -> bytes:
    """Run one query; returns the packet that ends it."""
    query = await protocol.read_query(client.reader)
    client.compressed = query.compressed
    external_tables = await _skip_external_tables(client)
    settings = {name: value for name, value in query.settings.items() if name not in NOT_SETTINGS}
    applied: list[str] = []
    end = protocol.END_OF_STREAM
    try:
        if external_tables:
            raise not_implemented("external tables are not supported by the embedded server")
        if settings:
            await client.call(apply_settings, client.session, settings, applied)
        await execute(client, query.sql)
    except QueryError as error:
        end = protocol.exception(error.code, error.message)
    if applied:
        await client.call(reset_settings, client.session, applied)
    return end


async def _skip_external_tables(client: ServerClient) -> bool:
    """Skip external tables up to the empty block that ends them; returns whether there were any."""
    some = False
    while True:
        packet = await client.reader.varint()
        if packet not in (Packet.DATA, Packet.SCALAR):
            raise MalformedError(f"unexpected packet {packet} after a query")
        block = await client.read_data()
        if packet == Packet.DATA:
            if not block.columns:
                return some
            some = True


async def _tables_status(client: ServerClient) -> bytes:
    """Answer which of the requested tables exist, a request of remote() and Distributed tables."""
    found = []
    for _ in range(await client.reader.varint()):
        database, table = await client.reader.string(), await client.reader.string()
        if (await client.run(f"EXISTS TABLE {identifier(database)}.{identifier(table)}", "TSV")) == b"1\n":
            found.append((database, table))
    return protocol.tables_status(found)
