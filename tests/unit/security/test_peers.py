"""Workers behind a key and TLS: who has no key is refused, and workers and commands send it."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import aiohttp
import httpx
import pytest
from aiohttp import web

from k2stream import peers, standing
from k2stream.embedded.ports import free_port
from k2stream.model.errors import StateRefused
from k2stream.platform.scrape import healths, scrape
from k2stream.settings import WorkerSettings

PATHS = ("/metrics", "/ohlcv/x/y/1m", "/cold/flush", "/", "/health/", "/HEALTH", "//health")


@pytest.fixture
def guarded(files):
    """A worker's settings."""
    return WorkerSettings(
        web_key="hush",
        web_tls_ca_file=files.ca_file,
        web_tls_cert_file=files.cert_file,
        web_tls_key_file=files.key_file,
    )


@asynccontextmanager
async def serving(settings):
    """Pages as Faust's web server makes them of its options; the URL."""
    port = free_port()
    options = peers.web_options(settings, port)
    app = web.Application(**options["web_application_options"])

    async def answer(request):
        return web.Response(text='k2_ready{role="hot"} 1\n')

    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=options["web_ssl_context"]).start()
    try:
        yield options["canonical_url"]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("header", [None, "hush", "Bearer hus", "Bearer hushh", "Bearer", "Basic hush", "é"])
async def test_without_the_key_only_health_is_answered(guarded, header):
    headers = {} if header is None else {"Authorization": header.encode()}
    connection = {**guarded.web_connection, "headers": headers}
    async with serving(guarded) as url, httpx.AsyncClient(base_url=url, **connection) as client:
        for path in PATHS:
            answer = await client.request("POST" if path == "/cold/flush" else "GET", url + path)
            assert answer.status_code == 401, path
            assert answer.headers["WWW-Authenticate"] == "Bearer" and "K2_WEB_KEY" in answer.text
        assert (await client.get("/health")).status_code == 200


async def test_workers_and_commands_send_the_key(guarded):
    async with serving(guarded) as url:
        assert url.startswith("https://")
        client = peers.web_options(guarded, 0)["HttpClient"]()
        async with client, client.get(f"{url}/ohlcv/x/y/1m") as answer:
            assert answer.status == 200
        samples = await scrape({"hot": url}, guarded)
        assert samples.get("k2_ready", role="hot") == 1 and samples.silent == ()
        assert await healths({"hot": url}, guarded) == {"hot": "ok"}


async def test_a_worker_that_another_ca_has_signed_is_not_trusted(guarded, others):
    asking = WorkerSettings(web_key="hush", web_tls_ca_file=others.ca_file)
    async with serving(guarded) as url:
        client = peers.web_options(asking, 0)["HttpClient"]()
        async with client:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await client.get(url)
        assert (await scrape({"hot": url}, asking)).silent == ("hot",)


async def test_without_a_key_anyone_may_ask():
    settings = WorkerSettings()
    async with serving(settings) as url, httpx.AsyncClient(**settings.web_connection) as client:
        assert url.startswith("http://")
        assert (await client.get(f"{url}/metrics")).status_code == 200


async def test_a_worker_that_refused_its_state_shows_no_metrics_without_the_key(guarded):
    options = peers.web_options(guarded, free_port())
    conf = SimpleNamespace(id="k2-hot", **options)
    refused = StateRefused("this is why")
    standing_by = asyncio.to_thread(standing.stand, SimpleNamespace(conf=conf), refused, 1.5, "hush")
    task = asyncio.create_task(standing_by)
    url = options["canonical_url"]
    async with httpx.AsyncClient(verify=guarded.web_connection["verify"]) as client:
        async with asyncio.timeout(60):
            while True:
                try:
                    health = await client.get(f"{url}/health")
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.01)
        assert health.status_code == 503 and health.json()["reason"] == "this is why"
        assert (await client.get(f"{url}/metrics")).status_code == 401
        shown = await client.get(f"{url}/metrics", headers={"Authorization": "Bearer hush"})
        assert shown.status_code == 200 and "k2_state_refused" in shown.text
    await task
