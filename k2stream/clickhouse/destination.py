"""ClickHouse: inserts of Arrow rows over the native protocol, and the positions stored beside them.

Positions are read from `sink_positions`, which is in the same database as the rows. After the database was
wiped or restored, they show what is missing, and those rows are read again from Kafka (delivery/rewind.py).
Each insert carries its offset ranges as deduplication token: if the first try did arrive, a retry adds
nothing. After a crash between insert and positions, rows are inserted again in other ranges and collapse,
because the sorting key of the ReplacingMergeTree contains their position.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from clickhouse_driver import Client, defines, errors
from clickhouse_driver.block import BlockInfo
from clickhouse_driver.protocol import ClientPacketTypes
from clickhouse_driver.util.escape import escape_param
from clickhouse_driver.varint import write_varint
from clickhouse_driver.writer import write_binary_str, write_binary_uint8

from k2stream.clickhouse import cluster, native
from k2stream.clickhouse.migrate import migrate
from k2stream.delivery.buffer import Rows, rows_of
from k2stream.delivery.destination import DestinationUnavailable, WentBack
from k2stream.delivery.epochs import Key, Move
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.route import Route, stored
from k2stream.model.errors import ConfigError
from k2stream.settings import ClickHouseSettings

CONNECT_SECONDS, ANSWER_SECONDS = 5, 60

UNREACHABLE = (errors.NetworkError, errors.SocketTimeoutError, OSError, EOFError)
UNAVAILABLE = (DestinationUnavailable, errors.NetworkError)
"""Errors raised when no server can be reached: the sink's own, and the client's."""

_BUSY = {
    errors.ErrorCodes.TIMEOUT_EXCEEDED,
    errors.ErrorCodes.TOO_MANY_SIMULTANEOUS_QUERIES,
    errors.ErrorCodes.SOCKET_TIMEOUT,
    errors.ErrorCodes.NETWORK_ERROR,
    errors.ErrorCodes.MEMORY_LIMIT_EXCEEDED,
    errors.ErrorCodes.TABLE_IS_READ_ONLY,
    errors.ErrorCodes.NOT_ENOUGH_SPACE,
    errors.ErrorCodes.ABORTED,
    errors.ErrorCodes.TOO_MANY_PARTS,
    errors.ErrorCodes.ALL_CONNECTION_TRIES_FAILED,
    285,  # TOO_FEW_LIVE_REPLICAS
    errors.ErrorCodes.UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE,
    errors.ErrorCodes.UNKNOWN_STATUS_OF_INSERT,
    errors.ErrorCodes.QUERY_WAS_CANCELLED,
    errors.ErrorCodes.KEEPER_EXCEPTION,
}
_DENIED = {
    errors.ErrorCodes.UNKNOWN_USER,
    errors.ErrorCodes.WRONG_PASSWORD,
    errors.ErrorCodes.REQUIRED_PASSWORD,
    errors.ErrorCodes.DATABASE_ACCESS_DENIED,
    497,  # ACCESS_DENIED
    516,  # AUTHENTICATION_FAILED
}
_GONE = {errors.ErrorCodes.UNKNOWN_TABLE, errors.ErrorCodes.UNKNOWN_DATABASE}


class ArrowClient(Client):  # type: ignore[misc]
    """The client of clickhouse-driver; inserts also take one Arrow table: `execute("INSERT …", [table])`."""

    def send_data(
        self, sample_block: Any, data: Any, types_check: bool = False, columnar: bool = False
    ) -> int:
        """Send an Arrow table as one block in the server's column types; the driver handles lists of rows."""
        if not (len(data) == 1 and isinstance(data[0], pa.Table)):
            return int(super().send_data(sample_block, data, types_check=types_check, columnar=columnar))
        (rows,) = data
        columns = [(name, kind, rows[name]) for name, kind in sample_block.columns_with_types]
        self._send_block(columns, len(rows))
        self.receive_profile_events()
        self._send_block([], 0)
        self.receive_profile_events()
        return len(rows)

    def _send_block(self, columns: list[tuple[str, str, pa.ChunkedArray]], rows: int) -> None:
        connection = self.connection
        revision = connection.server_info.used_revision
        write_varint(ClientPacketTypes.DATA, connection.fout)
        write_binary_str("", connection.fout)
        stream = connection.block_out
        BlockInfo().write(stream.fout)
        write_varint(len(columns), stream.fout)
        write_varint(rows, stream.fout)
        for name, kind, array in columns:
            write_binary_str(name, stream.fout)
            write_binary_str(kind, stream.fout)
            if revision >= defines.DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION:
                write_binary_uint8(0, stream.fout)
            stream.fout.write(native.column(array, kind))
        stream.finalize()


class SinkClient(ArrowClient):
    """A client that fails where the driver would connect again and say nothing.

    A server that closed the connection may be back without its last rows, and another one may lack them.
    """

    def establish_connection(self, settings: Any) -> None:
        """Connect for a query. Raises NetworkError where a connection was lost since the last query."""
        last = self.connection.socket
        super().establish_connection(settings)
        if last is not None and self.connection.socket is not last:
            raise errors.NetworkError("the server closed the connection")


def connect(settings: ClickHouseSettings, kind: type[ArrowClient] = ArrowClient) -> ArrowClient:
    """A client for the configured server. It connects at its first query."""
    return kind(
        **settings.connection,
        connect_timeout=CONNECT_SECONDS,
        send_receive_timeout=ANSWER_SECONDS,
        settings=dict(cluster.INSERT) if settings.cluster else None,
        client_name="k2stream",
    )


class ClickHouse:
    """The hot tier as a destination."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._database = settings.database
        self._client = connect(settings, SinkClient)
        self._insert_settings: dict[str, Any] = dict(_INSERT)
        self._where = f"ClickHouse at {settings.host}:{settings.port}"

    def prepare(self, routes: Sequence[Route]) -> None:
        """Apply the migrations; find out whether the server supports a reserve of free disk space."""
        query = f"SELECT count() FROM system.settings WHERE name = '{_RESERVE}'"
        ((known,),) = self._call(lambda: self._client.execute(query))
        if known:
            self._insert_settings[_RESERVE] = self._settings.reserve_bytes
        migrate(self._client, self._settings)

    def positions(self, route: Route) -> Mapping[int, SinkPosition]:
        """Positions from sink_positions by partition; a partition without a row was never written."""
        found = self._positions(
            "table = %(table)s AND topic = %(topic)s", table=route.table, topic=route.topic
        )
        return {at.partition: position for (_, at), position in found.items()}

    def _positions(self, where: str, **given: Any) -> dict[Key, SinkPosition]:
        query = f"""SELECT
                table, topic, partition,
                argMax((last_offset, marks, epoch, source), (epoch, last_offset, saved_at))
            FROM {self._database}.{POSITIONS} WHERE {where} GROUP BY table, topic, partition"""
        rows = self._call(lambda: self._client.execute(query, given))
        return {
            (table, SourcePartition(topic, number)): SinkPosition(*newest)
            for table, topic, number, newest in rows
        }

    def write(self, route: Route, batch: Rows) -> int:
        """Write the batch in one insert with the batch's deduplication token; returns the number of rows."""
        rows = stored(rows_of(route, batch))
        if len(rows):
            token = {"insert_deduplication_token": batch.token}
            self._insert(route.table, rows, {**self._insert_settings, **token})
        return len(rows)

    def add(self, route: Route, rows: pa.Table) -> int:
        """Insert rows outside of any batch; returns how many. Rows that exist already collapse with them."""
        # Without a token, the server would drop rows that it had before and that were deleted since.
        token = {"insert_deduplication_token": f"added {secrets.token_hex(8)}"}
        self._insert(route.table, rows, {**self._insert_settings, **token})
        return len(rows)

    def open(self, positions: Mapping[Key, SinkPosition]) -> None:
        """Insert one row per partition, with its newest epoch, into sink_positions."""
        rows = [
            (*(table, *at), position.offset, dict(position.high_water_marks), position.epoch, position.source)
            for (table, at), position in positions.items()
        ]
        self._insert_values(f"{POSITIONS} ({_COLUMNS})", rows)

    def save(self, moves: Mapping[Key, Move]) -> None:
        """Insert one row per partition into sink_positions where the stored position is the move's start.

        The comparison runs in the server: this server may not be the one that answered last, or it may have
        been restored to an earlier state. Raises WentBack for positions that were not saved.
        """
        rows = ", ".join(_literal(key, move) for key, move in moves.items())
        query = f"""INSERT INTO {self._database}.{POSITIONS} ({_COLUMNS})
            SETTINGS {_given(self._insert_settings)}
            WITH durable AS
            (
                SELECT table, topic, partition, max((epoch, last_offset)) AS newest
                FROM {self._database}.{POSITIONS} GROUP BY table, topic, partition
            )
            SELECT {_COLUMNS} FROM values('{_STRUCTURE}', {rows}) AS new
            INNER JOIN durable USING (table, topic, partition)
            WHERE newest.1 = epoch AND newest.2 >= after AND newest.2 < last_offset"""
        self._call(lambda: self._client.execute(query))
        tables = sorted({table for table, _ in moves})
        found = self._positions("table IN %(tables)s", tables=tables)
        back = {key: found.get(key) for key, move in moves.items() if not _saved(move, found.get(key))}
        if back:
            raise WentBack(back)

    def close(self) -> None:
        """Close the connection."""
        self._client.disconnect()

    def _insert(self, table: str, rows: pa.Table, settings: Mapping[str, Any]) -> None:
        names = ", ".join(f"`{name}`" for name in rows.column_names)
        query = f"INSERT INTO {self._database}.{table} ({names}) SETTINGS {_given(settings)} VALUES"
        self._call(lambda: self._client.execute(query, [rows]))

    def _insert_values(self, into: str, rows: list[tuple[Any, ...]]) -> None:
        query = f"INSERT INTO {self._database}.{into} SETTINGS {_given(self._insert_settings)} VALUES"
        self._call(lambda: self._client.execute(query, rows))

    def _call(self, query: Callable[[], Any]) -> Any:
        try:
            return query()
        except UNREACHABLE as error:
            raise DestinationUnavailable(
                f"{self._where} is unavailable ({_line(error)}); start it, or set K2_CLICKHOUSE_HOST and "
                "K2_CLICKHOUSE_PORT"
            ) from error
        except errors.ServerException as error:
            if error.code in _BUSY:
                raise DestinationUnavailable(f"{self._where} is busy ({_line(error)})") from error
            if error.code in _DENIED:
                raise ConfigError(
                    f"{self._where} refuses {self._settings.user} ({_line(error)}): correct "
                    "K2_CLICKHOUSE_USER and K2_CLICKHOUSE_PASSWORD, or what the user is granted"
                ) from None
            if error.code in _GONE:
                raise ConfigError(
                    f"{self._where} lost database {self._database} or a table of it: start the worker again, "
                    "it creates them and fills them from Kafka"
                ) from error
            raise


POSITIONS = "sink_positions"
_COLUMNS = "table, topic, partition, last_offset, marks, epoch, source"
_STRUCTURE = (
    "table String, topic String, partition Int32, last_offset Int64, marks Map(String, Int64), "
    "epoch String, source String, after Int64"
)


def _literal(key: Key, move: Move) -> str:
    table, at = key
    position = move.position
    high_water_marks = ", ".join(
        f"{_text(name)}, {offset}" for name, offset in position.high_water_marks.items()
    )
    texts = f"{_text(position.epoch)}, {_text(position.source)}"
    where = f"{_text(table)}, {_text(at.topic)}, {at.partition}"
    return f"({where}, {position.offset}, map({high_water_marks}), {texts}, {move.after})"


def _text(value: str) -> str:
    return str(escape_param(value, None))


def _saved(move: Move, found: SinkPosition | None) -> bool:
    return found is not None and found.epoch == move.position.epoch and found.offset >= move.position.offset


_INSERT = {
    "max_partitions_per_insert_block": 0,  # a replay of old captures spans many days
    "async_insert": 0,  # the server answers only after the rows are stored
}


_RESERVE = "min_free_disk_bytes_to_perform_insert"
"""Since 24.10. On a completely full disk, ClickHouse may leave parts that cannot be read."""


def _given(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {escape_param(value, None)}" for name, value in settings.items())


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
