"""A consumer that goes back: what is in hand ends first, and nothing is delivered before the seek."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from k2stream.batch._returning import committed, go_back
from tests.fakes import Fake

A, B, C = TP("t", 0), TP("t", 1), TP("t", 2)


class Consumer(Fake):
    """Writes down what it is asked for."""

    def __init__(self, *, rebalancing=False, member=True):
        self.said, self._ledgers, self._member = [], {A: 1, B: 2}, member
        flow = SimpleNamespace(**{name: self.note(name) for name in ("suspend", "clear", "resume")})
        self.app = SimpleNamespace(flow_control=flow, rebalancing=rebalancing, returning=asyncio.Lock())
        self.stop_flow, self.resume_flow = self.note("stop"), self.note("go")

    def note(self, name):
        return lambda: self.said.append(name)

    async def _wait_for_agents(self):
        self.said.append("agents are idle")

    def _forget(self, partitions):
        self.said.append(("forget", partitions))

    async def maybe_wait_for_commit_to_finish(self):
        self.said.append("no commit under way")
        return False

    def assignment(self):
        return {A, B}

    async def _commit(self, offsets):
        self.said.append(("commit", offsets))
        return self._member

    async def perform_seek(self):
        self.said.append("seek")


async def test_the_order_of_its_steps():
    consumer = Consumer()
    await go_back(consumer, {A: 5, C: 7}, consumer.note("between"))
    assert consumer.said == [
        *("stop", "suspend", "clear", "agents are idle", "between"),
        *(("forget", {A, B}), "no commit under way", ("commit", {A: 5}), "seek", "resume", "go"),
    ]


@pytest.mark.parametrize("state", [{"rebalancing": True}, {"member": False}])
async def test_a_rebalance_goes_on_by_itself(state):
    consumer = Consumer(**state)
    await go_back(consumer, {A: 5}, consumer.note("between"))
    assert not {"seek", "resume", "go"} & {step for step in consumer.said if isinstance(step, str)}


async def test_two_sinks_of_a_worker_go_back_one_after_the_other():
    consumer = Consumer()
    await asyncio.gather(*(go_back(consumer, {at: 5}, consumer.note("between")) for at in (A, B)))
    whole = consumer.said.index("go") + 1
    assert consumer.said[:whole].count("between") == 1
    assert len(consumer.said) == 2 * whole


def test_what_is_committed_is_told_of_ones_own_partitions_unless_they_are_dealt_out():
    consumer: Any = Consumer()
    consumer._committed_offset = {A: 5, B: None, C: 7}
    assert committed(consumer) == {A: 5}
    consumer.app.rebalancing = True
    assert committed(consumer) == {}
