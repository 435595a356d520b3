"""`app.web.tables()` of two workers: each answers for all partitions, now and of a past time."""

import asyncio
import time

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer

from k2stream.embedded.ports import free_port

pytestmark = pytest.mark.integration

KEYS = [f"k{number}/x" for number in range(8)]


class Client:
    """Asks one worker."""

    def __init__(self, session, port):
        self.session, self.base = session, f"http://127.0.0.1:{port}"

    async def get(self, path):
        async with self.session.get(f"{self.base}{path}") as response:
            return response.status, await response.json()

    async def all(self):
        """All entries as {key: (partition, value)}, by pages of 3; the refusal where there is one."""
        found, path = {}, "/tables/state/?limit=3"
        while path:
            status, page = await self.get(path)
            if status != 200:
                return status, page["error"]
            found |= {entry["key"]: (entry["partition"], entry["value"]) for entry in page["entries"]}
            path = page["next"]
        return 200, found

    async def until(self, entries, seconds=60):
        """Wait until all entries are these; returns the statuses of the answers before."""
        statuses, deadline = [], time.monotonic() + seconds
        while (answer := await self.all()) != (200, entries):
            statuses.append(answer[0])
            assert time.monotonic() < deadline, answer
            await asyncio.sleep(0.05)
        return statuses


async def publish(kafka, topic, add):
    """Each key to its partition, with its number and what is added as the value; returns all entries."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        for number, key in enumerate(KEYS):
            value = str(number + add).encode()
            await producer.send_and_wait(topic, key=key.encode(), value=value, partition=number % 4)
    return {key: (number % 4, number + add) for number, key in enumerate(KEYS)}


async def test_each_worker_serves_all_partitions_now_and_then_and_after_a_kill(kafka, start):
    await kafka.create(f"{start.app}-state-changelog", {"cleanup.policy": "compact"})
    first = await publish(kafka, start.source, 0)
    ports = free_port(), free_port()
    one, other = (start("serve", WEB_PORT=port) for port in ports)
    async with one, other, aiohttp.ClientSession() as session:
        clients = [Client(session, port) for port in ports]
        await asyncio.gather(one.ready(), other.ready())
        for client in clients:
            await client.until(first)
        _, answer = await clients[0].get("/tables")
        (table,) = answer["tables"]
        assert (table["name"], table["entries"], len(table["here"])) == ("state", 8, 2)
        await kafka.caught_up(start.app, start.source)
        then = int(1000 * time.time())

        second = await publish(kafka, start.source, 100)
        await clients[0].until(second)
        await kafka.caught_up(start.app, start.source)  # the changelog has it too
        for client in clients:
            for number, key in enumerate(KEYS):
                status, entry = await client.get(f"/tables/state/{key.replace('/', '%2F')}")
                assert (status, entry["value"]) == (200, number + 100)
            for number in (0, 7):
                _, entry = await client.get(f"/tables/state/{KEYS[number]}?at={then}")
                assert (entry["value"], entry["notes"]) == (number, [])
            _, page = await client.get(f"/tables/state/?at={then}&from=k2&to=k5")
            assert [entry["value"] for entry in page["entries"]] == [2, 3, 4]
            assert (await client.get("/tables/state/none"))[0] == 404
            _, answer = await client.get(f"/tables/?at={then}")
            assert answer["tables"][0]["entries"] == 8

        await other.kill()
        statuses = await clients[0].until(second)
        assert 502 in statuses
        assert set(statuses) <= {502, 503}
        _, answer = await clients[0].get("/tables")
        assert answer["tables"][0]["here"] == [0, 1, 2, 3]
