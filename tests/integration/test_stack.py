import asyncio
import json
import os
import signal
import uuid

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import MessageSizeTooLargeError
from clickhouse_driver import Client

from k2stream.embedded import datadir
from k2stream.embedded.errors import StackError
from k2stream.embedded.stack import Stack
from tests import kafka

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

TOPIC = f"stack-{uuid.uuid4().hex[:8]}"
RECORDS = [b"%d" % number for number in range(1_000)]
RSS_LIMIT = {"kafka": 350e6, "registry": 220e6}  # bytes, after the work of these tests


async def kill(stack, name):
    child = stack.children[name]
    os.kill(child.pid, signal.SIGKILL)
    await child.wait()
    with pytest.raises(StackError, match=f"{name} was killed by SIGKILL"):
        stack.check()


async def read(bootstrap, count):
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(TOPIC, 0)])
        values = []
        async with asyncio.timeout(60):
            while len(values) < count:
                for batch in (await consumer.getmany(timeout_ms=500)).values():
                    values += [record.value for record in batch]
        return values
    finally:
        await consumer.stop()


async def test_broker_keeps_acknowledged_records_over_a_kill(running_stack):
    stack, bootstrap = running_stack, running_stack.endpoints.bootstrap
    await kafka.create(bootstrap, TOPIC, 1)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    with pytest.raises(MessageSizeTooLargeError):
        await producer.send_and_wait(TOPIC, b"x" * 1_100_000)
    for acknowledged in [await producer.send(TOPIC, value, partition=0) for value in RECORDS]:
        await acknowledged
    await producer.stop()

    await kill(stack, "kafka")
    await stack.restart("kafka")
    stack.check()
    assert await read(bootstrap, len(RECORDS)) == RECORDS


async def test_topics_are_not_made_by_accident(stack):
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await admin.start()
    try:
        (described,) = await admin.describe_topics(["misspelt"])
        assert described["error_code"] != 0
        assert "misspelt" not in await admin.list_topics()
    finally:
        await admin.close()


async def test_registry_keeps_schemas_over_a_kill(running_stack):
    schema = {
        "schema": json.dumps({"type": "record", "name": "R", "fields": [{"name": "a", "type": "long"}]})
    }
    headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    url = running_stack.endpoints.registry_url
    async with httpx.AsyncClient(headers=headers, timeout=10) as client:
        added = await client.post(f"{url}/subjects/{TOPIC}-value/versions", json=schema)
        number = added.raise_for_status().json()["id"]
        await client.put(f"{url}/config/{TOPIC}-value", json={"compatibility": "BACKWARD"})

    await kill(running_stack, "registry")
    await running_stack.restart("registry")

    async with httpx.AsyncClient(headers=headers, timeout=10) as client:
        kept = (await client.get(f"{url}/schemas/ids/{number}")).raise_for_status().json()
        level = (await client.get(f"{url}/config/{TOPIC}-value")).raise_for_status().json()
    assert json.loads(kept["schema"])["name"] == "R"
    assert level["compatibilityLevel"] == "BACKWARD"


async def test_clickhouse_serves_both_protocols(stack):
    native = Client(stack.clickhouse_host, stack.clickhouse_port)
    assert native.execute("SELECT toDecimal128('1.5', 18)")[0][0].as_tuple().digits[:2] == (1, 5)
    native.disconnect()
    async with httpx.AsyncClient() as client:
        url = f"http://{stack.clickhouse_host}:{stack.clickhouse_http_port}/"
        assert (await client.get(url, params={"query": "SELECT 1"})).text == "1\n"


async def test_the_stack_is_found_by_its_folder_and_owns_it(running_stack):
    assert datadir.running(running_stack.data_dir) == running_stack.endpoints
    with pytest.raises(StackError, match=f"process {os.getpid()} runs a stack"):
        async with Stack(running_stack.data_dir, running_stack.data_dir):
            pass


async def test_memory_stays_small(running_stack):
    used = {name: running_stack.children[name].usage().rss for name in RSS_LIMIT}
    assert all(used[name] < limit for name, limit in RSS_LIMIT.items()), used
