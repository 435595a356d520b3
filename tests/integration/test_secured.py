"""A guarded stack: TLS on every port, one user with a password, and who is refused."""

import socket
import ssl
import stat
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from k2stream import settings, topics
from k2stream.avro import registry
from k2stream.clickhouse.destination import ClickHouse, connect
from k2stream.embedded import datadir
from k2stream.embedded.errors import StackError
from k2stream.embedded.guard import StackGuard
from k2stream.embedded.stack import Stack
from k2stream.kafka.admin import connected
from k2stream.kafka.creation import ensure_topics
from k2stream.model.errors import ConfigError
from k2stream.platform.addresses import local_settings

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("guarded") / "data"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(folder):
    """The settings of a client."""
    async with Stack(folder, Path(settings.load().local.cache_dir), training=False, secure=True) as stack:
        found = local_settings(settings.make(data_dir=str(folder)), stack.endpoints)
        await ensure_topics(found.kafka, topics.declared(found.kafka))
        yield found


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_each_mechanism_logs_in(guarded, mechanism):
    async with connected(settings.replace(guarded, kafka_sasl_mechanism=mechanism).kafka) as admin:
        assert topics.NORMALIZED in await admin.list_topics()


@pytest.mark.parametrize(
    "changed",
    [
        {"kafka_sasl_password": "loud"},
        {"kafka_sasl_username": "admin"},
        {"kafka_security_protocol": "PLAINTEXT"},
        {"kafka_security_protocol": "SSL"},
        {"kafka_tls_ca_file": ""},
    ],
)
async def test_nobody_else_reaches_the_broker(guarded, changed):
    with pytest.raises(ConfigError, match="no Kafka broker at") as refused:
        async with connected(settings.replace(guarded, **changed).kafka):
            pass
    assert "loud" not in str(refused.value)


async def test_the_registry_and_clickhouse_are_reached_over_tls(guarded, monkeypatch):
    for known in ("_writers", "_layouts", "_registered"):  # another registry has other ids
        monkeypatch.setattr(registry, known, {})
    assert await registry.register(topics.NORMALIZED, "trade", guarded.kafka.registry) > 0
    assert connect(guarded.clickhouse).execute("SELECT 1") == [(1,)]
    http = guarded.kafka.registry_url.replace("https://", "http://")
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.TransportError):
            await client.get(f"{http}/subjects")


async def test_a_login_that_clickhouse_refuses_is_one_line(guarded):
    wrong = settings.replace(guarded, clickhouse_password="loud").clickhouse
    with pytest.raises(ConfigError) as refused:
        ClickHouse(wrong).prepare([])
    text = str(refused.value)
    assert "refuses k2" in text and "K2_CLICKHOUSE_PASSWORD" in text
    assert "loud" not in text and "\n" not in text


@pytest.mark.parametrize(
    ("login", "status"), [(("k2", None), 200), (("k2", "loud"), 403), (("default", ""), 403), (None, 403)]
)
async def test_clickhouse_over_http_wants_the_login_too(guarded, folder, login, status):
    guard, endpoints = StackGuard.of(folder), datadir.running(folder)
    assert endpoints is not None and endpoints.secure
    user, password = login or ("", "")
    headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password or guard.secret("clickhouse_password")}
    if password == "":
        headers["X-ClickHouse-Key"] = ""
    verify = guarded.kafka.registry.connection["verify"]
    url = f"https://127.0.0.1:{endpoints.clickhouse_http_port}/"
    async with httpx.AsyncClient(verify=verify, headers=headers if login else {}) as client:
        answer = await client.get(url, params={"query": "SELECT 1"})
        assert (answer.status_code, answer.text == "1\n") == (status, status == 200)


async def test_no_port_speaks_in_the_clear(guarded, folder):
    """Every port on which a process of the stack listens answers a handshake of TLS, and no other does."""
    endpoints = datadir.running(folder)
    context = ssl.create_default_context(cafile=guarded.kafka.tls_ca_file)
    assert endpoints is not None
    ports = endpoints.kafka_port, endpoints.registry_port, endpoints.clickhouse_port
    for port in (*ports, endpoints.clickhouse_http_port):
        plain = socket.create_connection(("127.0.0.1", port), 10)
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as secured:
            assert secured.version() in ("TLSv1.2", "TLSv1.3")


async def test_files_are_for_their_user_alone(guarded, folder):
    guard = StackGuard.of(folder)
    private = [guard.folder, *guard.folder.iterdir(), folder / "kafka" / "server.properties"]
    assert all(not stat.S_IMODE(path.stat().st_mode) & 0o077 for path in private)
    assert not list((folder / "kafka").glob("users*"))
    assert guarded.secret_files.keys() == guard.secret_files.keys()


async def test_a_folder_stays_as_it_was_made(tmp_path):
    (tmp_path / "data" / "kafka" / "log").mkdir(parents=True)
    (tmp_path / "data" / "kafka" / "log" / "meta.properties").touch()
    (tmp_path / "data" / "stack.lock").touch()
    with pytest.raises(StackError, match="was made without --secure"):
        async with Stack(tmp_path / "data", tmp_path, secure=True):
            pass
