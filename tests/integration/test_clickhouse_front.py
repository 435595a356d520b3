"""The embedded ClickHouse server, through clickhouse-driver and HTTP, in a process of its own."""

import datetime as dt
import signal
import socket
import struct
import subprocess
import sys
import time
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from k2stream.embedded.clickhouse.blocks import string, varint
from k2stream.embedded.clickhouse.protocol import REVISION

pytestmark = pytest.mark.integration

UTC = dt.UTC


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def command(folder, *ports):
    return [sys.executable, "-m", "k2stream.embedded.clickhouse", folder, *map(str, ports)]


class Front:
    """The server process over one folder, restartable on the same ports."""

    def __init__(self, folder):
        self.folder = folder
        self.port, self.http_port = free_ports(2)
        self.log = folder.with_suffix(".log")

    def start(self):
        self.process = subprocess.Popen(
            command(self.folder, self.port, self.http_port),
            stdout=subprocess.PIPE,
            stderr=self.log.open("a"),
            text=True,
        )
        assert self.process.stdout and self.process.stdout.readline() == "ready\n", self.log.read_text()
        return self

    def stop(self, number=signal.SIGTERM):
        """Seconds to the end of the process."""
        start = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(10)
        assert self.process.stdout
        self.process.stdout.close()
        return time.monotonic() - start

    def client(self, **options):
        return Client("127.0.0.1", port=self.port, **options)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http_port}/"


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    front = Front(tmp_path_factory.mktemp("front") / "data").start()
    yield front
    front.stop()
    assert front.process.returncode == 0


@pytest.fixture(scope="module", params=[False, "lz4"], ids=["plain", "lz4"])
def compression(request):
    return request.param


@pytest.fixture(scope="module")
def client(front, compression):
    client = front.client(compression=compression)
    yield client
    client.disconnect()


@pytest.fixture
def table(client):
    """A name free to create, dropped afterwards."""
    name = f"t_{uuid.uuid4().hex}"
    yield name
    client.execute(f"DROP TABLE IF EXISTS {name} SYNC")


ROUND_TRIPS: dict[str, list[Any]] = {
    "UInt64": [0, 1, 2**64 - 1],
    "Decimal(38, 18)": [Decimal("-1.000000000000000001"), Decimal(0), Decimal("12345678901234567890")],
    "Decimal(76, 36)": [Decimal("1e-36"), Decimal("-98765432109876543210.123456"), Decimal(7)],
    "DateTime64(6, 'UTC')": [dt.datetime(2026, 1, 2, 3, 4, 5, us, UTC) for us in (0, 1, 999_999)],
    "Enum8('buy' = 1, 'sell' = 2)": ["buy", "sell", "buy"],
    "LowCardinality(String)": ["binance", "kraken", "binance"],
    "LowCardinality(Nullable(String))": ["a", None, ""],
    "Map(String, String)": [{}, {"a": "b", "c": ""}, {"é": "x" * 300}],
    "Map(LowCardinality(String), Array(UInt8))": [{}, {"a": [1, 2]}, {"b": []}],
    "Array(String)": [[], ["a", ""], ["x" * 200] * 3],
    "Array(LowCardinality(String))": [[], [], []],
    "Array(Array(Nullable(Int32)))": [[], [[], [1, None]], [[-5]]],
    "UUID": [uuid.UUID(int=n) for n in (0, 1, 2**128 - 1)],
    "Nullable(Decimal(38, 18))": [None, Decimal("0.5"), None],
    "Nullable(String)": [None, "", "a"],
    "Tuple(UInt8, String, Nullable(Date))": [(1, "a", dt.date(2026, 1, 2)), (2, "", None), (3, "b", None)],
    "FixedString(3)": ["abc", "def", "ghi"],
    "IPv4": ["1.2.3.4", "0.0.0.0", "255.255.255.255"],  # compared as text
    "String": ["\n\n\n;", "'\";\n\n--", "\0"],
    "Bool": [True, False, True],
}


@pytest.mark.parametrize("kind", ROUND_TRIPS)
@pytest.mark.parametrize("columnar", [False, True])
def test_values_come_back_as_they_were_inserted(client, table, kind, columnar):
    values = ROUND_TRIPS[kind]
    client.execute(f"CREATE TABLE {table} (id UInt8, v {kind}) ENGINE = MergeTree ORDER BY id")
    rows = list(zip(range(3), values, strict=True))
    data = [list(column) for column in zip(*rows, strict=True)] if columnar else rows
    client.execute(f"INSERT INTO {table} VALUES", data, columnar=columnar)
    result = client.execute(f"SELECT id, v FROM {table} ORDER BY id")
    assert [(i, str(v) if kind == "IPv4" else v) for i, v in result] == rows


def test_numpy_columns(front, client, compression, table):
    client.execute(
        f"CREATE TABLE {table} (a UInt64, b Float64, t DateTime64(6, 'UTC'), s String) "
        "ENGINE = MergeTree ORDER BY a"
    )
    columns = [
        np.arange(50_000, dtype=np.uint64),
        np.linspace(0, 1, 50_000),
        np.datetime64("2026-01-01", "ns") + np.arange(50_000) * np.timedelta64(1, "us"),
        np.array([f"row {i}" for i in range(50_000)], dtype=object),
    ]
    fast = front.client(settings={"use_numpy": True}, compression=compression)
    fast.execute(f"INSERT INTO {table} VALUES", columns, columnar=True)
    result = fast.execute(f"SELECT * FROM {table} ORDER BY a", columnar=True)
    assert all(np.array_equal(got, sent) for got, sent in zip(result, columns, strict=True))
    fast.disconnect()


def test_replacing_merge_tree_final_keeps_the_highest_revision(client, table):
    client.execute(
        f"CREATE TABLE {table} (k String, revision UInt32, v Decimal(38, 18)) "
        "ENGINE = ReplacingMergeTree(revision) ORDER BY k"
    )
    for rows in ([("a", 1, Decimal(1)), ("b", 5, Decimal(2))], [("a", 2, Decimal(3)), ("b", 4, Decimal(4))]):
        client.execute(f"INSERT INTO {table} VALUES", rows)
    assert client.execute(f"SELECT * FROM {table} FINAL ORDER BY k") == [
        ("a", 2, Decimal(3)),
        ("b", 5, Decimal(2)),
    ]


def test_column_list_defaults_and_many_blocks(client, table):
    client.execute(
        f"CREATE TABLE {table} (a UInt32, b String DEFAULT 'd', c UInt32 MATERIALIZED a + 1) "
        "ENGINE = MergeTree ORDER BY a"
    )
    settings = {"insert_block_size": 1000}
    assert (
        client.execute(f"INSERT INTO {table} (a) VALUES", [(i,) for i in range(4500)], settings=settings)
        == 4500
    )
    client.execute(f"INSERT INTO {table} VALUES", [(4500, "x")])
    assert client.execute(f"SELECT count(), sum(c), uniq(b) FROM {table}") == [(4501, sum(range(1, 4502)), 2)]


def test_an_insert_knows_columns_that_another_session_changed(front, client, table):
    client.execute(f"CREATE TABLE {table} (a Int64) ENGINE = MergeTree ORDER BY a")
    client.execute(f"INSERT INTO {table} VALUES", [(1,)])
    other = front.client()
    other.execute(f"ALTER TABLE {table} ADD COLUMN b String")
    other.disconnect()
    client.execute(f"INSERT INTO {table} VALUES", [(2, "two")])
    httpx.post(front.url, content=f"ALTER TABLE {table} DROP COLUMN b").raise_for_status()
    client.execute(f"INSERT INTO {table} VALUES", [(3,)])
    assert client.execute(f"SELECT * FROM {table} ORDER BY a") == [(1,), (2,), (3,)]


def test_long_results_and_empty_results_have_columns(client):
    rows = client.execute("SELECT number, toString(number) FROM numbers(200000)")
    assert rows == [(i, str(i)) for i in range(200_000)]
    assert client.execute("SELECT 1 AS x, 'a' AS y WHERE 0", with_column_types=True) == (
        [],
        [("x", "UInt8"), ("y", "String")],
    )


def test_progress_is_reported(client):
    client.execute("SELECT number FROM numbers(100000)")
    assert client.last_query.progress.rows == 100_000


def test_an_error_leaves_the_connection_usable(client, table, monkeypatch):
    client.execute(f"CREATE TABLE {table} (a UInt8) ENGINE = MergeTree ORDER BY a")
    connection = client.connection.socket

    def go_on():  # where the driver would disconnect, as a precaution
        client.connection.is_query_executing = False

    monkeypatch.setattr(client, "disconnect", go_on)
    for sql, rows, settings, code in (
        ("SELECT * FROM nowhere", None, {}, 60),
        ("SELEC 1", None, {}, 62),
        (f"INSERT INTO {table} (b) VALUES", [(1,)], {}, 47),
        ("INSERT INTO nowhere VALUES", [(1,)], {}, 60),
        ("SELECT 1", None, {"no_such_setting": 1}, 115),
        ("SELECT throwIf(number = 150000) FROM numbers(200000)", None, {}, 395),
    ):
        with pytest.raises(ServerException) as caught:
            client.execute(sql, rows, settings=settings)
        assert caught.value.code == code
        assert client.execute("SELECT 1") == [(1,)]
    assert client.connection.socket is connection


def test_an_insert_that_fails_at_its_data_stores_nothing(client, table):
    client.execute(
        f"CREATE TABLE {table} (a UInt8, CONSTRAINT small CHECK a < 10) ENGINE = MergeTree ORDER BY a"
    )
    with pytest.raises(ServerException) as caught:
        client.execute(f"INSERT INTO {table} VALUES", [(1,), (50,)])
    assert caught.value.code == 469
    assert client.execute(f"SELECT count() FROM {table}") == [(0,)]


def test_an_insert_that_fails_in_a_view_is_not_acknowledged(client, table):
    client.execute(f"CREATE TABLE {table} (a UInt8) ENGINE = MergeTree ORDER BY a")
    client.execute(
        f"CREATE MATERIALIZED VIEW {table}_mv ENGINE = MergeTree ORDER BY a "
        f"AS SELECT throwIf(a = 50)::UInt8 AS a FROM {table}"
    )
    with pytest.raises(ServerException) as caught:
        client.execute(f"INSERT INTO {table} VALUES", [(1,), (50,)])
    assert caught.value.code == 395
    client.execute(f"DROP TABLE {table}_mv SYNC")


def test_columns_that_cannot_be_carried_are_refused(client):
    with pytest.raises(ServerException) as caught:
        client.execute("SELECT sumState(number) FROM numbers(3)")
    assert caught.value.code == 48
    assert client.execute("SELECT 1") == [(1,)]


def test_settings_hold_for_one_query(client):
    query = "SELECT value FROM system.settings WHERE name = 'max_block_size'"
    default = client.execute(query)
    assert client.execute(query, settings={"max_block_size": 123}) == [("123",)]
    assert client.execute(query) == default


def test_sessions_have_their_own_database(front, client):
    client.execute("CREATE DATABASE IF NOT EXISTS other")
    other = front.client(database="other")
    assert other.execute("SELECT currentDatabase()") == [("other",)]
    assert client.execute("SELECT currentDatabase()") == [("default",)]
    with pytest.raises(ServerException) as caught:
        front.client(database="nowhere").execute("SELECT 1")
    assert caught.value.code == 81
    other.disconnect()


def test_a_repeated_block_with_the_same_token_is_dropped(client, table):
    client.execute(
        f"CREATE TABLE {table} (a UInt32) ENGINE = MergeTree ORDER BY a "
        "SETTINGS non_replicated_deduplication_window = 100"
    )
    for token in ("0:0-1", "0:0-1", "0:2-3"):
        settings = {"insert_deduplication_token": token}
        client.execute(f"INSERT INTO {table} VALUES", [(1,), (2,)], settings=settings)
    assert client.execute(f"SELECT count() FROM {table}") == [(4,)]


def test_cancel_ends_a_query_and_keeps_the_connection(client):
    rows = client.execute_iter("SELECT number FROM system.numbers")
    assert next(rows) == (0,)
    client.cancel()
    assert client.execute("SELECT 1") == [(1,)]


def test_malformed_bytes_close_their_own_connection_only(front, client):
    hello = b"\x00" + string("x") + varint(1) * 2 + varint(REVISION) + string("") * 3
    query = b"\x01" + string("") + b"\x00" + string("") + string("") + b"\x02"
    absurd_frame = bytes(16) + struct.pack("<BII", 0x82, 0xFFFFFFFF, 0xFFFFFFFF)
    for raw in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" * 100,
        hello + b"\x63",
        hello + query + b"\x01" + string("SELECT 1") + b"\x02\x00" + absurd_frame,
        hello
        + query
        + b"\x00"
        + string("SELECT 1")
        + b"\x02\x00"
        + b"\x00\x01\x01"
        + string("a")
        + string("JSON"),
    ):
        with socket.create_connection(("127.0.0.1", front.port), timeout=5) as raw_client:
            raw_client.sendall(raw)
            while raw_client.recv(4096):  # up to the server's close
                pass
    assert client.execute("SELECT 1") == [(1,)]
    text = front.log.read_text()
    assert "HTTP on the native port: connection closed" in text
    assert "packet 99: connection closed" in text
    assert "a compressed frame of 4294967295 bytes" in text
    assert "type JSON is not supported" in text
    assert "Traceback" not in text


def test_http_queries(front):
    with httpx.Client(base_url=front.url) as http:
        answer = http.get("/", params={"query": "SELECT 1 AS x, toDecimal128(2, 18) AS y FORMAT JSON"})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["data"] == [{"x": 1, "y": 2}]
        assert http.post("/", content="SELECT 1, 'a'").text == "1\ta\n"
        parameters = {"param_n": "3", "default_format": "JSONEachRow", "max_threads": "1"}
        answer = http.post("/", params=parameters, content="SELECT number FROM numbers({n:UInt8})")
        assert answer.text.splitlines() == ['{"number":0}', '{"number":1}', '{"number":2}']
        assert http.get("/ping").text == "Ok.\n"


def test_http_inserts(front, client, table):
    client.execute(f"CREATE TABLE {table} (a UInt32, b String) ENGINE = MergeTree ORDER BY a")
    with httpx.Client(base_url=front.url) as http:
        insert = {"query": f"INSERT INTO {table} FORMAT JSONEachRow"}
        assert http.post("/", params=insert, content='{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n').status_code == 200
        assert (
            http.post("/", params=insert, content=iter([b'{"a":3,', b'"b":"z"}\n'])).status_code == 200
        )  # chunked
        csv = f"INSERT INTO {table}\n(a, b)\nFORMAT CSV\n"
        assert http.post("/", content=csv + '4,"w\n\nw"\n').status_code == 200
        assert (
            http.post("/", content=f"INSERT INTO {table} VALUES (5, 'v\n\n'),\n\n(6, '')").status_code == 200
        )
        query = {"query": f"INSERT INTO {table} VALUES"}
        assert http.post("/", params=query, content="(7, '\n\n')").status_code == 200
    client.execute(f'INSERT INTO {table} FORMAT JSONEachRow {{"a":8}}\n\n{{"a":9}}')
    assert client.execute(f"SELECT * FROM {table} ORDER BY a") == [
        (1, "x"), (2, "y"), (3, "z"), (4, "w\n\nw"), (5, "v\n\n"), (6, ""), (7, "\n\n"), (8, ""), (9, ""),
    ]  # fmt: skip


def test_http_errors_carry_the_code(front):
    with httpx.Client(base_url=front.url) as http:
        for sql, code in (("SELECT * FROM nowhere", "60"), ("SELECT FROM FROM", "62")):
            answer = http.get("/", params={"query": sql})
            assert answer.status_code == 500
            assert answer.headers["x-clickhouse-exception-code"] == code
            assert answer.text.startswith(f"Code: {code}. DB::Exception:")
        assert http.get("/", params={"query": "SELECT 1", "no_such_setting": "1"}).status_code == 500
        assert http.put("/", content=b"").status_code == 400
    assert httpx.get(front.url, params={"query": "SELECT 1"}).text == "1\n"


def test_acknowledged_inserts_survive_a_kill(tmp_path):
    front = Front(tmp_path / "data").start()
    try:
        client = front.client()
        client.execute("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
        for i in range(20):
            client.execute("INSERT INTO t VALUES", [(i,)])
        front.stop(signal.SIGKILL)
        front.start()
        assert front.client().execute("SELECT count(), sum(a) FROM t") == [(20, sum(range(20)))]
        assert front.stop() < 2
        assert front.process.returncode == 0
        front.start()
        assert front.client().execute("SELECT count() FROM t") == [(20,)]
    finally:
        front.stop(signal.SIGKILL)


def test_a_statement_that_does_not_end_does_not_hold_the_stop(tmp_path):
    front = Front(tmp_path / "data").start()
    with socket.create_connection(("127.0.0.1", front.http_port)) as http:
        http.sendall(b"GET /?query=SELECT+sleepEachRow(3)+FROM+numbers(100)+SETTINGS+max_block_size=1,"
                     b"function_sleep_max_microseconds_per_block=0 HTTP/1.1\r\n\r\n")  # fmt: skip
        probe = front.client()
        while not probe.execute("SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow(3)%'")[
            0
        ][0]:
            pass
        assert front.stop() < 2
    assert front.process.returncode == 0


def run_to_end(folder, *ports):
    return subprocess.run(command(folder, *ports), capture_output=True, text=True, timeout=20)


def test_a_start_that_cannot_work_says_why_in_one_line(front, tmp_path):
    (tmp_path / "file").write_text("")
    for done, reason in (
        (run_to_end(front.folder, *free_ports(2)), f"in use by process {front.process.pid}"),
        (
            run_to_end(tmp_path / "data", front.port, *free_ports(1)),
            f"cannot listen on 127.0.0.1:{front.port}",
        ),
        (run_to_end(tmp_path / "file", *free_ports(2)), "exists"),
        (run_to_end(tmp_path / "data", "x", "y"), "usage:"),
    ):
        assert done.returncode == 1
        assert reason in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert done.stdout == ""


def test_only_this_machine_can_connect(front):
    process = Path(f"/proc/{front.process.pid}")
    inodes = {str(fd.readlink()) for fd in (process / "fd").iterdir()}
    rows = [line.split() for line in (process / "net" / "tcp").read_text().splitlines()[1:]]
    listening = {row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes}
    assert listening == {"0100007F"}
