"""State that is lost, cut, put back or expired under a running platform, and what mends it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import struct
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from functools import partial

from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from k2stream import topics
from k2stream.avro import registry, trades
from k2stream.model.candle import TIMEFRAMES
from k2stream.settings import environment
from tests import kafka
from tests.fault.platforms import caught_up, quiet, recovered, until

MEND_SECONDS = 180
TOGETHER_SECONDS = 20.0
"""In which all refuse that have read what is lost."""
UNREAD_SECONDS = 8
"""In which more is written than a cut takes."""

BATCH_HEAD = struct.Struct(">qi")
"""Of a broker batch: base offset, and bytes after these twelve."""

CHANGELOGS = {
    "normalize": [f"k2-normalize-positions_{exchange}-changelog" for exchange in topics.EXCHANGES],
    "candles": [
        *(f"k2-candles-ohlcv_{timeframe}-changelog" for timeframe in TIMEFRAMES),
        "k2-candles-candle_progress-changelog",
    ],
}


class LostState:
    """One fault after the other, each healed before the next; `refusals` counts what was refused."""

    def __init__(self, platform, random):
        self._platform, self._random = platform, random
        self.refusals = 0
        self.kinds: dict[str, Callable[[], Awaitable[None]]] = {
            **{f"changelogs of {role} made anew": partial(self.changelogs, role) for role in CHANGELOGS},
            "raw topic made anew": self.raw_made_anew,
            "canonical topic made anew": self.canonical_made_anew,
            "candle topics made anew": self.candles_made_anew,
            "raw log cut": self.raw_cut,
            **{
                f"raw log cut unread by {role}": partial(self.raw_cut, role) for role in ("cold", "normalize")
            },
            "raw log cut below what was normalized": self.raw_cut_below_normalized,
            "raw expired unread": self.raw_expired,
            "canonical expired unread": self.canonical_expired,
            "ClickHouse put back": self.clickhouse_restored,
            "Iceberg put back": self.iceberg_restored,
        }

    async def any(self):
        """One of them, and its mend; what it was."""
        name = self._random.choice(list(self.kinds))
        await self.kinds[name]()
        return name

    async def changelogs(self, role):
        """Some of a role's changelogs are gone: refused, and rebuilt; the others are right."""
        names = self._random.sample(CHANGELOGS[role], k=2)
        async with self._held_back(role):
            await self._delete(names)
            await quiet(self._platform, self._random.uniform(2, 8))  # there is something to do
        await self._refused_and_mended(role)

    async def raw_made_anew(self):
        """A raw topic is deleted under all that read and write it."""
        exchange = self._random.choice(topics.EXCHANGES)
        await caught_up(self._platform, 120)
        await self._delete([topics.raw(exchange)])
        await self._refused_and_mended("normalize", "hot", "cold")

    async def canonical_made_anew(self):
        """The canonical topic is deleted, when the sinks have read it."""
        await self._platform.stop_feeds()
        await caught_up(self._platform, 120)
        await self._delete([topics.NORMALIZED])
        await self._platform.start_feeds()
        await self._refused_and_mended(
            "normalize", "candles", "certify", "hot", "cold", also=["candles", "certify"]
        )

    async def candles_made_anew(self):
        """Some candle topics are deleted under the candles and the sinks, of which one had not read all."""
        await caught_up(self._platform, 120)
        async with self._held_back("cold"):
            await quiet(self._platform, UNREAD_SECONDS)
            await self._delete(self._random.sample(list(map(topics.ohlcv, TIMEFRAMES)), k=2))
        await self._refused_and_mended("candles", "certify", "hot", "cold", also=["certify"])

    async def raw_cut(self, unread_by=None):
        """A raw log lacks its newest batches after the broker's start, as after an unclean election.

        So many that some had been read, though not by one role, which goes on in the new log.
        """
        topic = topics.raw(self._random.choice(topics.EXCHANGES))
        await caught_up(self._platform, 120)
        async with self._held_back(unread_by) if unread_by else nullcontext():
            if unread_by:
                await quiet(self._platform, UNREAD_SECONDS)
            kafka = self._platform.stack.children["kafka"]
            await kafka.stop(5)
            folder = self._platform.settings.local.data_path / "kafka" / "log"
            cut(folder / f"{topic}-0", self._random.randint(10, 20))
            (folder / ".kafka_cleanshutdown").unlink(missing_ok=True)
            await self._platform.stack.restart("kafka")
        await self._refused_and_mended("normalize", "hot", "cold")

    async def raw_cut_below_normalized(self):
        """The normalizer dies after it has published trades, before its state has them; their records go.

        The log ends above its position: only what it has published tells that offsets are used again.
        """
        exchange, platform = self._random.choice(topics.EXCHANGES), self._platform
        folder = platform.settings.local.data_path / "kafka" / "log" / f"{topics.raw(exchange)}-0"
        begins = None
        while begins is None:
            await recovered(platform)
            await quiet(platform, self._random.uniform(2, 4))
            worker = platform.workers["normalize"]
            os.kill(worker.pid, signal.SIGKILL)
            await worker.wait()
            position, published = await self._normalized(exchange)
            between = [at for at, _ in batches(newest_log(folder)) if position < at <= published]
            begins = self._random.choice(between) if between else None
        await platform.stack.children["kafka"].stop(5)
        cut_at(folder, begins)
        (folder.parent / ".kafka_cleanshutdown").unlink(missing_ok=True)
        await platform.stack.restart("kafka")
        await self._refused_and_mended("normalize", "hot", "cold")

    async def _normalized(self, exchange):
        """The offset up to which the state is, and that of the newest published trade."""
        bootstrap, raw = self._platform.settings.kafka.bootstrap, TopicPartition(topics.raw(exchange), 0)
        position = (await kafka.progress(bootstrap, "k2-normalize", [raw])).committed[raw]
        values = [record.value for record in (await kafka.read(bootstrap, topics.NORMALIZED, 1))[0]]
        registry.look_up(values, self._platform.settings.kafka.registry)
        found = trades.decode(values)
        mine = [name == exchange for name in found.exchange.tolist()]
        return position, int(found.raw_offset[mine].max())

    async def raw_expired(self):
        """Retention overtakes the normaliser."""
        topic = topics.raw(self._random.choice(topics.EXCHANGES))
        async with self._held_back("normalize"):
            await quiet(self._platform, 5)
            await caught_up(self._platform, 120, ["k2-hot", "k2-cold"])
            await self._expire(topic)
        await self._refused_and_mended("normalize")

    async def canonical_expired(self):
        """Retention overtakes the candles; what the sinks have read is not theirs to lose."""
        async with self._held_back("candles"):
            await quiet(self._platform, 5)
            await caught_up(self._platform, 120, ["k2-hot", "k2-cold"])
            await self._expire(topics.NORMALIZED)
        await self._refused_and_mended("candles")

    async def clickhouse_restored(self):
        """ClickHouse is put back to what it was some seconds ago."""
        await self._put_back("clickhouse", self._clickhouse_stopped)

    async def iceberg_restored(self):
        """So are the Iceberg tables, with their catalog."""
        await self._put_back("iceberg", lambda: self._held_back("cold"))

    async def _put_back(self, name, stopped):
        data, copy = (
            self._platform.settings.local.data_path / name,
            self._platform.settings.local.data_path / "copy",
        )
        async with stopped():
            await asyncio.to_thread(shutil.copytree, data, copy, symlinks=True)
        await quiet(self._platform, self._random.uniform(3, 12))
        async with stopped():
            await asyncio.to_thread(shutil.rmtree, data)
            await asyncio.to_thread(copy.rename, data)
        await recovered(self._platform)

    @asynccontextmanager
    async def _clickhouse_stopped(self):
        await self._platform.stack.children["clickhouse"].stop(5)
        yield
        await self._platform.stack.restart("clickhouse")

    @asynccontextmanager
    async def _held_back(self, role):
        """Without a worker of a role: the supervisor takes it for one that refused."""
        await self._stop(role)
        child = self._platform.workers[role]
        restart, self._platform._restart = self._platform._restart, _none_of(self._platform._restart, role)
        try:
            yield child
        finally:
            self._platform._restart = restart
            await self._platform.heal()

    async def _stop(self, role):
        child = self._platform.workers[role]
        await child.stop(10)
        child.stopping = False

    async def _refused_and_mended(self, role, *others, also=()):
        """Wait until those of the roles that had read it refuse, none else, and heal with `k2 mend`."""
        roles, platform = {role, *others}, self._platform

        async def refused():
            return roles & set(platform.refused)

        await until(refused, 120, f"one of {roles} refuses", platform)
        if others:
            await quiet(platform, TOGETHER_SECONDS)
        assert set(platform.refused) <= roles, platform.refused
        self.refusals += len(platform.refused)
        async with AsyncExitStack() as stopped:  # the others are to be stopped by hand, as `k2 mend` says
            for running in roles - set(platform.refused):
                await stopped.enter_async_context(self._held_back(running))
            for mended in (role, *also):
                await self._mend(mended)
        await recovered(self._platform)
        assert not self._platform.refused

    async def _mend(self, role):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "k2stream", "mend", role, "--yes",
            env={**os.environ, **environment(self._platform.settings)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said = (await asyncio.wait_for(process.communicate(), MEND_SECONDS))[0].decode()
        assert process.returncode == 0, said
        return said

    async def _delete(self, names):
        async with self._admin() as admin:
            await admin.delete_topics(names)

    async def _expire(self, topic):
        """Half of what is still unread is gone."""
        async with self._admin() as admin:
            at = TopicPartition(topic, 0)
            group = "k2-candles" if topic == topics.NORMALIZED else "k2-normalize"
            read = (await admin.list_consumer_group_offsets(group))[at].offset
            before = read + 1 + self._random.randint(0, 20)
            await admin.delete_records({at: RecordsToDelete(before_offset=before)})

    def _admin(self):
        return kafka.administering(self._platform.settings.kafka.bootstrap)


def _none_of(restart, role):
    async def held(spec, child):
        if spec.role != role:
            await restart(spec, child)

    return held


def newest_log(folder):
    """The newest segment of a partition's log."""
    return sorted(folder.glob("*.log"))[-1]


def batches(log):
    """First offset, and place in the file, of each broker batch of a segment."""
    data, at = log.read_bytes(), 0
    while at + BATCH_HEAD.size <= len(data):
        offset, size = BATCH_HEAD.unpack_from(data, at)
        yield offset, at
        at += BATCH_HEAD.size + size


def cut(folder, count):
    """Take the newest broker batches off a partition's log."""
    starts = [offset for offset, _ in batches(newest_log(folder))]
    cut_at(folder, starts[-min(count, len(starts))])


def cut_at(folder, first):
    """End a partition's log before the broker batch of an offset; its indexes are made again from it."""
    log = newest_log(folder)
    with log.open("r+b") as file:
        file.truncate(dict(batches(log))[first])
    for kind in ("index", "timeindex", "snapshot"):
        for index in folder.glob(f"*.{kind}"):
            index.unlink()
