"""A partition count is changed while nothing runs: what was looked at stays so until the change has ended."""

from typing import Any

import pytest

from k2stream import topics
from k2stream.commands import partitions
from k2stream.commands.output import Printer
from k2stream.kafka import counts, groups
from k2stream.kafka.counts import CountChange
from k2stream.model.errors import ConfigError
from k2stream.partitions import change, rest
from k2stream.settings import make

NAME = topics.EXCHANGES[0]
WANTED = CountChange(NAME, 1, 2)


class World:
    """A broker, and a worker that its supervisor starts once, right after we looked, if it may start."""

    def __init__(self, supervised):
        self.marked = self.runs = self.done_beside = self.done = False
        self.counted: list[int] = []
        self._supervised = supervised

    async def begin(self, *_):
        self.marked = True

    async def end(self, *_):
        self.marked = False

    async def check_stopped(self, *_):
        if self.runs:
            raise ConfigError("workers of k2-normalize are running")
        self.runs = self._supervised and not self.marked

    async def check_drained(self, settings):
        self.counted.append(settings.kafka.raw_partitions(NAME))

    async def do(self, *_):
        self.done, self.done_beside = True, self.runs


@pytest.fixture
def changing(monkeypatch):
    """Change a count in a world; `begun` is a change that was interrupted."""

    async def changed(world, begun=None, count=1):
        monkeypatch.setattr(counts, "begin", world.begin)
        monkeypatch.setattr(counts, "end", world.end)
        monkeypatch.setattr(rest, "check_stopped", world.check_stopped)
        monkeypatch.setattr(rest, "check_drained", world.check_drained)
        monkeypatch.setattr(change, "do", world.do)
        settings = make(**{f"{NAME}_partitions": count})
        at: Any = partitions._Reached(settings, {topics.raw(NAME): count}, begun, None)
        await partitions._change(at, WANTED, Printer(as_json=True), dry_run=False, yes=True)

    return changed


async def test_a_worker_that_starts_after_we_looked_runs_beside_no_change(changing):
    """It found no change that had begun, and what it did went on while its state was moved."""
    world = World(supervised=True)
    with pytest.raises(ConfigError, match="workers of k2-normalize are running"):
        await changing(world)
    assert (world.done_beside, world.done, world.marked) == (False, False, False)


async def test_without_one_the_change_is_made(changing):
    world = World(supervised=False)
    await changing(world)
    assert (world.done, world.done_beside) == (True, False)


async def test_a_change_that_was_interrupted_is_drained_as_it_was_before_and_stays_marked(changing):
    """The logs of new partitions are filled and emptied again; those of before have to be read."""
    world = World(supervised=False)
    await changing(world, WANTED, count=2)
    assert (world.done, world.counted) == (True, [1])
    world.runs = True
    with pytest.raises(ConfigError):
        await changing(world, WANTED, count=2)
    assert world.marked


async def test_one_that_was_interrupted_before_anything_was_done_is_given_up(changing):
    """While it is marked, no worker could read what is left."""
    world = World(supervised=False)
    world.runs = True
    with pytest.raises(ConfigError):
        await changing(world, WANTED, count=1)
    assert (world.done, world.marked) == (False, False)


async def test_a_worker_that_joins_while_the_topics_are_watched_is_seen(monkeypatch):
    seen = iter([set(), {"k2-hot"}])

    async def members(_):
        return next(seen)

    async def ends(_):
        return {}

    monkeypatch.setattr(groups, "members", members)
    monkeypatch.setattr(rest, "_ends", ends)
    monkeypatch.setattr(rest, "WATCH_SECONDS", 0.0)
    with pytest.raises(ConfigError, match="workers of k2-hot are running"):
        await rest.check_stopped(make().kafka)
