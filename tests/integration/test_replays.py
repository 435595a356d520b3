"""Dead letters put back, tables read without a worker, and workers that recover or stand still."""

import asyncio
import json
import os
import sys
import time
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from k2stream import deadletter, topics
from k2stream.avro import registry, trades
from k2stream.deadletter import DeadLetter
from k2stream.dlq import claims
from k2stream.dlq.claims import Id, ReplayNote
from k2stream.dlq.plan import HEADER, plan
from k2stream.dlq.replay import replay, replays
from k2stream.embedded.ports import free_port
from k2stream.exchanges import raw
from k2stream.kafka import creation
from k2stream.kafka.reader import Reader
from k2stream.model import clock, decimals
from k2stream.model.trade import RawTrade
from k2stream.settings import environment
from tests import kafka
from tests.integration.partitions import TWO, settings_on

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

HANGING = """
import asyncio, sys, time
from k2stream.agents import normalize

async def publish(*_):
    {body}

normalize.publish = publish
sys.argv = ["faust", "-A", "k2stream.agents.normalize", "worker", "--loglevel", "warn"]
from faust.cli.faust import cli
cli.main(args=sys.argv[1:])
"""
KRAKEN, SYMBOL = topics.raw("kraken"), "XBT/USD"
RAW_PARTITION = topics.partition_of(SYMBOL, TWO["kraken_partitions"])


@pytest_asyncio.fixture(loop_scope="session")
async def settings(running_stack, tmp_path):
    given = settings_on(running_stack.endpoints, tmp_path)
    await creation.ensure_topics(given.kafka, topics.declared(given.kafka))
    return given


@pytest_asyncio.fixture(loop_scope="session")
async def producer(settings):
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap) as producer:
        yield producer


class Worker:
    """A worker process, killed at last if it has not stopped."""

    def __init__(self, settings, *command, **variables):
        self.log = settings.local.data_path / "worker.log"
        self._command = [sys.executable, *command]
        self._environment = os.environ | environment(settings) | variables

    async def __aenter__(self):
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, stdout=log, stderr=log
            )
        return self

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()

    async def until(self, condition):
        async with asyncio.timeout(60):
            while not await condition():
                assert self.process.returncode is None, self.log.read_text()[-3000:]
                await asyncio.sleep(0.2)


def normalize(settings):
    return Worker(settings, "-m", "k2stream", "worker", "normalize")


async def k2(settings, *arguments):
    """Exit status and standard output of a command, and what it says beside."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "k2stream", *arguments),
        env=os.environ | environment(settings) | {"COLUMNS": "400"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, beside = (text.decode() for text in await process.communicate())
    return process.returncode, said, beside


async def rows(settings, name, *arguments):
    status, said, beside = await k2(settings, "table", "export", name, *arguments)
    assert status == 0, beside
    return [json.loads(line) for line in said.splitlines()], beside


async def records(settings, topic, partitions, begins=None):
    async with Reader(settings.kafka) as reader:
        held = await reader.retained(topic, partitions)
        begins = begins or {}
        wanted = {p: (begins.get(p, begin), end) for p, (begin, end) in held.items()}
        return [record async for record in reader.read(topic, wanted)]


async def ends(settings, topic, partitions):
    async with Reader(settings.kafka) as reader:
        return {p: end for p, (_, end) in (await reader.retained(topic, partitions)).items()}


async def waiting(settings, group, topic, partitions):
    """Records of a topic that a group has not committed."""
    tps = kafka.partitions(topic, partitions)
    return (await kafka.progress(settings.kafka.bootstrap, group, tps)).lag


async def done(settings):
    return not await waiting(settings, "k2-normalize", KRAKEN, settings.kafka.raw_partitions("kraken"))


def body(price, micros):
    moment = f"{micros // 1_000_000}.{micros % 1_000_000:06d}"
    fields = {"pair": SYMBOL, "price": price, "volume": "0.25", "time": moment, "side": "b"}
    return json.dumps(fields | {"orderType": "l", "misc": ""}).encode()


def record(price):
    now = clock.now_us()
    return raw.record(RawTrade(SYMBOL, body(price, now)), now, "conn", 0)


async def send_raw(producer, value):
    return await producer.send_and_wait(KRAKEN, value, SYMBOL.encode(), partition=RAW_PARTITION)


async def send_letter(producer, original, **fields):
    """A letter as an earlier release wrote it; its number."""
    given: dict[str, Any] = {"cause": "an old mistake", "exchange": "kraken", "time": clock.now_us()} | fields
    letter = DeadLetter(original=deadletter.original(original), **given)
    sent = await producer.send_and_wait(topics.DLQ, deadletter.encode(letter), b"kraken")
    return sent.offset, letter


def frame(*prices):
    now = time.time()
    moments = [f"{now + number / 1000:.6f}" for number in range(len(prices))]
    listed = [[price, "0.5", moment, "b", "l", ""] for price, moment in zip(prices, moments, strict=True)]
    return json.dumps([337, listed, "trade", SYMBOL]).encode()


async def prices(settings, begins):
    """Prices of the canonical trades since."""
    found = await records(settings, topics.NORMALIZED, settings.kafka.normalized_partitions, begins)
    registry.look_up((item.value for item in found), settings.kafka.registry)
    full = trades.decode([item.value for item in found])
    return decimals.to_strings(decimals.from_fixed16(full.price))


async def test_letters_go_back_once_and_a_failed_replay_is_seen_as_one(settings, producer):
    async with normalize(settings) as worker:
        passed = await send_raw(producer, record("66.5"))
        await worker.until(lambda: done(settings))  # other tests may have left trades unread
        since = await ends(settings, topics.NORMALIZED, settings.kafka.normalized_partitions)
        before = (await ends(settings, topics.DLQ, 1))[0]
        bad = await send_raw(producer, record("1.5")[:-3])
        good = record("77.25")

        async def number_of(offset):
            """The letter of a raw record, None while there is none."""
            for item in await records(settings, topics.DLQ, 1, {0: before}):
                letter = json.loads(item.value)
                if (letter.get("topic"), letter.get("offset")) == (KRAKEN, offset):
                    return item.offset
            return None

        async def rejected(offset):
            return await number_of(offset) is not None

        await worker.until(lambda: rejected(bad.offset))
        still_bad = await number_of(bad.offset)
        await worker.until(lambda: done(settings))
        mended, _ = await send_letter(  # of a record without one, as the letters of a record count once
            producer, good, stage="normalize", topic=KRAKEN, partition=RAW_PARTITION, offset=passed.offset
        )
        unparsed, _ = await send_letter(
            producer, frame("88.5", "89.5"), stage="ingest", connection="kraken-1"
        )
        foreign, _ = await send_letter(producer, b"x", stage="candles", topic=topics.NORMALIZED)

        chosen = [f"--offset={number}" for number in (still_bad, mended, unparsed, foreign)]
        end = bad.offset + 1
        status, said, beside = await k2(settings, "dlq", "replay", *chosen)
        assert status == 1, beside
        to = f"replayed: {KRAKEN}[{RAW_PARTITION}] offset"
        first, *told = said.splitlines()
        assert first.startswith(f"{foreign}: refused: it comes from stage candles,")
        assert told == [
            f"{still_bad}: {to} {end}",
            f"{mended}: {to} {end + 1}",
            f"{unparsed}: {to} {end + 2}, [{RAW_PARTITION}] offset {end + 3}",
            "3 dead letters replayed as 4 raw records, 1 refused",
        ]
        await worker.until(lambda: rejected(end))
        await worker.until(lambda: done(settings))
        assert sorted(map(float, await prices(settings, since))) == [77.25, 88.5, 89.5]

        since_bad = await records(
            settings, KRAKEN, settings.kafka.raw_partitions("kraken"), {RAW_PARTITION: bad.offset}
        )
        by_offset = {item.offset: item for item in since_bad if item.partition == RAW_PARTITION}
        for number, offset, value in ((still_bad, end, by_offset[bad.offset].value), (mended, end + 1, good)):
            item = by_offset[offset]
            assert (item.key, item.value) == (SYMBOL.encode(), value)
            assert dict(item.headers) == {HEADER: b"%d:0" % number}

        status, said, _ = await k2(settings, "dlq", "replay", *chosen)
        assert status == 1
        assert said.splitlines()[-1] == "0 dead letters replayed as 0 raw records, 4 refused"
        assert said.count("refused: replayed at") == 3
        reached = await ends(settings, KRAKEN, settings.kafka.raw_partitions("kraken"))
        assert reached[RAW_PARTITION] == end + 4

    again = await number_of(end)
    answers = await asyncio.gather(
        k2(settings, "dlq", "list", "--exchange=kraken", "--limit=1000"),
        k2(settings, "dlq", "show", str(again)),
        k2(settings, "dlq", "show", str(mended), "--original"),
        k2(settings, "dlq", "list", "--summary", "--cause=old mistake"),
    )
    assert {status for status, _, _ in answers} == {0}
    listed, shown, original, summary = (said for _, said, _ in answers)
    assert f"rejected again, replayed as {still_bad}" in listed
    assert f"from      {KRAKEN}[{RAW_PARTITION}] offset {end}" in shown
    assert original.encode() == good
    assert "3 dead letters" in summary.splitlines()


async def test_a_replay_that_was_broken_off_is_finished_not_repeated(settings, producer, monkeypatch):
    number, letter = await send_letter(producer, frame("61.5", "62.5"), stage="ingest", connection="kraken-2")
    end = (await ends(settings, KRAKEN, settings.kafka.raw_partitions("kraken")))[RAW_PARTITION]
    broken = ReplayNote(Id(number, letter.time), "broken", KRAKEN, {RAW_PARTITION: end})
    await producer.send_and_wait(topics.DLQ_REPLAYS, msgspec.json.encode(broken), partition=0)
    first, _ = plan(letter, settings.kafka).rows
    await producer.send_and_wait(
        KRAKEN, first.value, first.key, partition=RAW_PARTITION, headers=[(HEADER, f"{number}:0".encode())]
    )

    (outcome,) = [outcome async for outcome in replay(settings, [(number, letter)])]
    assert outcome.trades == 0
    assert "another run" in outcome.text
    monkeypatch.setattr(claims, "LEASE_MS", -1)
    (outcome,) = [outcome async for outcome in replay(settings, [(number, letter)])]
    assert outcome.trades == 2
    assert "1 of them by an interrupted run" in outcome.text
    async with Reader(settings.kafka) as reader:
        assert (await replays(reader))[Id(number, letter.time)].written == (
            (RAW_PARTITION, end),
            (RAW_PARTITION, end + 1),
        )
    assert (await ends(settings, KRAKEN, settings.kafka.raw_partitions("kraken")))[RAW_PARTITION] == end + 2


async def test_a_table_is_read_as_it_stood_with_no_worker_running(settings, producer):
    async with normalize(settings) as worker:
        first = await send_raw(producer, record("10.5"))
        await worker.until(lambda: done(settings))
        then = str(time.time_ns() // 1_000_000)
        at_first, _ = await rows(settings, "positions_kraken")
        await asyncio.sleep(0.01)
        second = await send_raw(producer, record("11.5"))
        await worker.until(lambda: done(settings))
    now, _ = await rows(settings, "positions_kraken")
    (position,) = [row for row in now if row["symbol"] == SYMBOL]
    assert position["raw_offset"] == second.offset
    (position,) = [row for row in at_first if row["symbol"] == SYMBOL]
    assert position["raw_offset"] == first.offset
    assert (await rows(settings, "positions_kraken", "--at", then))[0] == at_first
    found, _ = await rows(settings, "positions_kraken", "--at", then, "--key", SYMBOL)
    assert found == [position]
    found, beside = await rows(settings, "positions_kraken", "--at", "2001-02-03T04:05:06")
    assert found == []
    assert "the changelog's earliest entry is of" in beside
    status, _, beside = await k2(settings, "table", "show", "positions_kraken", "--key", "NO/PE")
    assert status == 1
    assert "has no key 'NO/PE'" in beside


async def test_rest_refuses_while_its_table_recovers_and_then_says_what_the_table_holds(settings, producer):
    async with normalize(settings) as worker:
        await send_raw(producer, record("12.5"))
        await worker.until(lambda: done(settings))
    port = str(free_port())
    path = f"http://127.0.0.1:{port}/ohlcv/kraken/BTC-USD/1d?limit=5000&source=tables"
    health = f"http://127.0.0.1:{port}/health"
    candles = ("-m", "k2stream", "worker", "candles")
    async with httpx.AsyncClient(timeout=10) as client:

        async def answer(url):
            try:
                return (await client.get(url)).status_code
            except httpx.TransportError:
                return None

        async def serves():
            return await answer(health) == 200

        async with Worker(settings, *candles, K2_WEB_PORT=port) as worker:
            await worker.until(serves)

            async def read():
                left = await waiting(
                    settings, "k2-candles", topics.NORMALIZED, settings.kafka.normalized_partitions
                )
                return not left

            await worker.until(read)

        held, _ = await rows(settings, "ohlcv_1d", "--key", "kraken:BTC/USD")
        statuses = set()
        async with Worker(settings, *candles, K2_WEB_PORT=port) as worker:

            async def first_answer():
                statuses.update([await answer(path), await answer(health)])
                return 200 in statuses

            await worker.until(first_answer)
            served = (await client.get(path)).json()["candles"]
    assert statuses <= {None, 404, 503, 200}
    assert 503 in statuses
    assert held
    by_time = {row["open_time"]: row for row in held}
    assert {candle["open_time"] for candle in served} == by_time.keys()
    for candle in served:
        row = by_time[candle["open_time"]]
        # A window that the clock closed meanwhile has one revision more.
        assert [candle[name] for name in ("open", "high", "low", "close", "volume")] == [
            row[name] for name in ("open", "high", "low", "close", "volume")
        ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("await asyncio.Event().wait()", "no progress for 2 s on market.crypto.trades.kraken.raw"),
        ("time.sleep(600)", "Timeout (0:00:02.5"),
    ],
)
async def test_a_worker_that_stands_still_ends_and_acknowledges_nothing(settings, producer, body, said):
    before = await waiting(settings, "k2-normalize", KRAKEN, settings.kafka.raw_partitions("kraken"))
    await send_raw(producer, record("13.5"))
    command = ("-c", HANGING.format(body=body))
    async with Worker(settings, *command, K2_STALL_SECONDS="2") as worker, asyncio.timeout(60):
        assert await worker.process.wait() not in (0, None)
        text = worker.log.read_text()
    assert said in text, text[-3000:]
    assert (
        await waiting(settings, "k2-normalize", KRAKEN, settings.kafka.raw_partitions("kraken")) == before + 1
    )
