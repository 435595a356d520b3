"""Registration with the real registry."""

import asyncio
import copy
from pathlib import Path

import httpx
import pytest

from k2stream import settings
from k2stream.avro import registry, wire
from k2stream.embedded import jars
from k2stream.embedded.ports import HOST, free_port
from k2stream.embedded.registry import Registry
from k2stream.model.errors import ConfigError
from k2stream.settings import RegistryAddress

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture(autouse=True)
def no_memory(monkeypatch):
    """Each test asks the registry itself."""
    registry._client.cache_clear()
    for name in ("_writers", "_layouts"):
        monkeypatch.setattr(registry, name, {})


async def test_workers_that_register_at_once_agree(stack):
    async def worker():
        registry._client.cache_clear()  # a client of its own, as in a process of its own
        return await registry.register("at.once", "trade", RegistryAddress(stack.registry_url))

    ids = await asyncio.gather(*(worker() for _ in range(6)))
    assert len(set(ids)) == 1
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{stack.registry_url}/subjects/at.once-value/versions")).json() == [1]
        config = (await client.get(f"{stack.registry_url}/config/at.once-value")).json()
    assert config["compatibilityLevel"] == "BACKWARD"


async def test_one_schema_has_one_id_in_every_topic_and_comes_back_by_it(stack):
    first = await registry.register("topic.a", "trade", RegistryAddress(stack.registry_url))
    assert await registry.register("topic.b", "trade", RegistryAddress(stack.registry_url)) == first
    registry._writers.clear()
    registry._layouts.clear()
    registry._client.cache_clear()
    registry.writer_schema(first, RegistryAddress(stack.registry_url))
    assert registry.layout(first) == wire.layout(wire.declared("trade"))


async def test_an_incompatible_schema_is_refused_in_one_line(stack, monkeypatch):
    await registry.register("evolving", "trade", RegistryAddress(stack.registry_url))
    changed = copy.deepcopy(wire.declared("trade"))
    changed["fields"].append({"name": "fee", "type": "string"})
    monkeypatch.setattr(wire, "declared", lambda name: changed)
    with pytest.raises(ConfigError) as refused:
        await registry.register("evolving", "trade", RegistryAddress(stack.registry_url))
    text = str(refused.value)
    assert "evolving-value" in text and "BACKWARD" in text and "\n" not in text
    changed["fields"][-1]["default"] = ""
    assert await registry.register("evolving", "trade", RegistryAddress(stack.registry_url)) > 0


@pytest.fixture
def cache():
    return Path(settings.load().local.cache_dir).expanduser()


async def test_a_registry_that_starts_late_is_waited_for(cache, tmp_path):
    port = free_port()
    url = f"http://{HOST}:{port}/apis/ccompat/v7"
    waiting = asyncio.create_task(registry.register("late", "candle", RegistryAddress(url)))
    late = Registry(tmp_path, port, jars.registry_home(cache), cache, tmp_path / "registry.log")
    child = await late.start()
    try:
        assert await asyncio.wait_for(waiting, 30) > 0
    finally:
        await child.stop(5)
