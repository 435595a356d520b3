"""Each client over real TLS: it trusts its CA alone, shows its certificate, and logs in."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import pytest
from aiohttp import web
from pyiceberg.catalog import load_catalog

from k2stream.avro import registry
from k2stream.clickhouse.destination import connect
from k2stream.embedded.clickhouse import native
from k2stream.embedded.clickhouse.logins import Door
from k2stream.embedded.guard import StackGuard
from k2stream.model.errors import ConfigError
from k2stream.settings import IcebergSettings, RegistryAddress, make
from k2stream.settings.tls import Tls, client_context, server_context
from tests.tls import asking_for_certificates


@asynccontextmanager
async def serving(context, answer):
    """An HTTPS server that answers all requests with a function of the request; its URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


BASIC = "Basic " + base64.b64encode(b"k2:hush").decode()


async def registered(request):
    """A registry with one user."""
    if request.headers.get("Authorization") != BASIC:
        return web.json_response({"message": "who are you"}, status=401)
    return web.json_response({"id": 7, "version": 1, "schema": json.dumps("string"), "subject": "t-value"})


async def test_the_registry_is_asked_over_tls_with_a_certificate_and_a_login(files):
    async with serving(asking_for_certificates(files), registered) as url:
        assert await registry.register("t", "trade", RegistryAddress(url, "k2", "hush", files)) == 7


async def test_a_registry_that_refuses_the_login_is_one_line_and_not_asked_again(files):
    async with serving(server_context(files), registered) as url:
        with pytest.raises(ConfigError) as refused:
            await registry.register("t", "trade", RegistryAddress(url, "k2", "loud", Tls(files.ca_file)))
    text = str(refused.value)
    assert "who are you" in text and "K2_REGISTRY_PASSWORD" in text
    assert "loud" not in text and "\n" not in text


async def test_a_certificate_of_another_ca_is_not_trusted(files, others):
    async with serving(server_context(files), registered) as url:
        for context in (client_context(Tls(others.ca_file)), client_context()):
            async with httpx.AsyncClient(verify=context) as client:
                with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                    await client.get(url)


async def test_a_certificate_for_another_name_is_not_trusted(files):
    client = httpx.AsyncClient(verify=client_context(Tls(files.ca_file)))
    async with serving(server_context(files), registered) as url, client:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.get(url, extensions={"sni_hostname": "elsewhere"})


async def test_a_rest_catalog_is_asked_over_tls_with_a_certificate_and_a_token(files, monkeypatch):
    """The client of pyiceberg takes the CA of an environment's REQUESTS_CA_BUNDLE before its own."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    asked = []

    async def configured(request):
        asked.append((request.path, request.headers.get("Authorization")))
        return web.json_response({"defaults": {}, "overrides": {}, "namespaces": []})

    given = IcebergSettings(
        token="hush", tls_ca_file=files.ca_file, tls_cert_file=files.cert_file, tls_key_file=files.key_file
    )
    async with serving(asking_for_certificates(files), configured) as url:

        def listed():
            catalog = load_catalog("k2", type="rest", uri=url, warehouse="lake", **given.access)
            return catalog.list_namespaces()

        assert await asyncio.to_thread(listed) == []
    assert asked == [("/v1/config", "Bearer hush"), ("/v1/namespaces", "Bearer hush")]


class Engine:
    """The part of the engine that a client meets before its first query."""

    def session(self):
        return self

    def close(self):
        pass

    def query(self, sql, format_, params=None):
        return self

    def bytes(self):
        return b"UTC\n"

    async def call(self, function, *arguments):
        return function(*arguments)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "Unexpected EOF"),  # it is let in, and this engine answers no query
        ({"clickhouse_password": "loud"}, "Authentication failed"),
        ({"clickhouse_user": "default"}, "Authentication failed"),
        ({"clickhouse_tls_ca_file": ""}, "CERTIFICATE_VERIFY_FAILED"),
        ({"clickhouse_secure": False, "clickhouse_tls_ca_file": ""}, "Unexpected EOF"),
    ],
)
async def test_clickhouse_is_asked_over_tls_with_a_login(tmp_path, changed, said):
    guard = StackGuard.of(tmp_path)
    guard.make()
    door = Door(guard.folder)

    async def connected(reader, writer):
        try:
            await native.serve(reader, writer, cast(Any, Engine()), door)
        except AttributeError:
            writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=door.context) as server:
        port = server.sockets[0].getsockname()[1]
        given = make(
            clickhouse_port=port,
            **{**guard.settings, **changed, "clickhouse_tls_cert_file": "", "clickhouse_tls_key_file": ""},
        )
        with pytest.raises(Exception) as failed:
            await asyncio.to_thread(connect(given.clickhouse).execute, "SELECT 1")
    assert said in str(failed.value)
    assert "loud" not in str(failed.value)
