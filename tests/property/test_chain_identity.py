"""The chain when what its positions refer to is lost, cut, recreated or expired: exact, or refused.

A worker looks at its source when it starts, when its connection is made again and before each commit, and at
its tables when it starts (`batch/proof.py`). Without such a loss nothing is refused.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from k2stream.avro.trades import decode
from k2stream.batch import proof
from k2stream.tables import orphans
from k2stream.topics import NORMALIZED
from tests.property.chain.feed import RAW
from tests.property.test_chain import KIND, WHO, Chain

LOSSES = ("topic anew", "log cut", "changelog anew", "offsets", "expired")


class Losing(Chain):
    """Without stores: theirs are in test_chain.py."""

    def __init__(self):
        super().__init__()
        self.stores, self.sinks = {}, {}
        self.losses = []

    @rule(what=st.sampled_from(LOSSES), who=WHO, share=st.integers(0, 9))
    def lose(self, what, who, share):
        """Once: of two losses the one may take what would show the other."""
        if self.losses:
            return
        worker = self.workers[who]
        log = self.broker.log(worker.source)
        self.losses.append(what)
        if what == "changelog anew":
            self.broker.make_anew(worker.tables[share % len(worker.tables)].changelog_topic_name)
            self.work(who, 0, 0, "dies")  # a running one has all in memory
        elif what == "offsets":
            self.broker.committed[worker.group].clear()
            self.broker.identities[worker.group].clear()
        elif what == "expired":
            log.begin = max(log.begin, log.end * share // 10)
        elif who == "normaliser":
            self.lose_raw(what, log.end * share // 10)
        else:
            end = 0 if what == "topic anew" else log.end * share // 10
            if self.broker.committed[worker.group].get(worker.source, 0) > end or not log.end:
                # What nobody has read yet nobody misses: docs/guarantees.md
                log.cut(end) if what == "log cut" else self.broker.make_anew(worker.source)

    def lose_raw(self, what, end):
        """Not where outputs of a worker that had not committed arrive after its source was lost.

        Nothing tells then that the offsets in them are of other records. Outputs that have arrived tell its
        successor, if it starts after the loss: docs/guarantees.md.
        """
        committed = self.broker.committed["normalize"].get(RAW, 0)
        workers = [self.workers["normaliser"], *self.zombies]
        under_way = highest(row.value for each in workers for topic, row in each.sent if topic == NORMALIZED)
        rows = [row for row in self.broker.log(NORMALIZED).records if row is not None]
        reached = max(under_way, highest(row.value for row in rows))
        if what == "topic anew":
            end = 0
        if committed <= end <= under_way:
            return
        self.feed.cut(end) if what == "log cut" else self.feed.make_anew(max(committed, reached + 1))
        if committed <= end <= reached:
            self.work("normaliser", 0, 0, "dies")

    def restore(self, store, which):
        pass

    def work_of_a_sink(self, store, count, fates, fate):
        pass

    def finish(self):
        for who in KIND:
            self.work(who, 1000, 1000, "dies")
        super().finish()

    def told(self):
        """What was refused or reported."""
        return [worker.refused for worker in self.workers.values() if worker.refused] + self.broker.said

    def check(self):
        assert self.losses or not self.told()
        if not self.told():
            offsets = [trade.raw_offset for trade in self.feed.told.values()]
            assert len(set(offsets)) == len(offsets), "offsets that were read came again unnoticed"
            super().check()


def highest(values):
    """The highest raw offset in canonical records, -1 without one."""
    found = list(values)
    return int(decode(found).raw_offset.max()) if found else -1


def test_the_chain_is_exact_or_refuses():
    examples = 4 * settings().max_examples
    run_state_machine_as_test(Losing, settings=settings(max_examples=examples, stateful_step_count=30))


def trades(chain):
    for symbol in ("BTCUSDT", "ETHUSDT"):
        chain.publish(symbol, [1] * 4, 1)


def loses(what, who, share=0):
    def story(chain):
        trades(chain)
        chain.flow()
        chain.lose(what, who, share)
        trades(chain)
        trades(chain)
        chain.flow()

    return story


def is_cut_below_what_was_published(chain):
    for _ in range(2):
        trades(chain)
        chain.flow()
    trades(chain)
    chain.workers["normaliser"].deliver(1000)
    chain.workers["normaliser"].arrive(1000)
    chain.lose("log cut", "normaliser", 9)
    trades(chain)
    chain.flow()


def expires_before_it_is_read(chain):
    trades(chain)
    chain.work("normaliser", 1000, 1000, "lives")
    chain.workers["candles"].deliver(1)
    trades(chain)
    chain.work("normaliser", 1000, 1000, "lives")
    chain.lose("expired", "candles", 9)


STORIES = {
    "a topic recreated": loses("topic anew", "normaliser"),  # A1
    "a topic recreated, of canonical trades": loses("topic anew", "candles"),
    "a log that was cut": loses("log cut", "normaliser", 5),  # A2
    "a log that was cut below what was published": is_cut_below_what_was_published,
    "a changelog that was lost": loses("changelog anew", "candles"),  # A5
    "records that expired unread": expires_before_it_is_read,  # A6
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_what_is_lost_is_said_and_would_be_wrong_unsaid(story, monkeypatch):
    chain = Losing()
    story(chain)
    chain.finish()
    assert chain.told()
    for name in ("judge", "judge_table"):
        monkeypatch.setattr(proof, name, lambda *_, **__: proof.Judgement(proof.Verdict.CONTINUE))
    monkeypatch.setattr(orphans, "lacking", lambda *_: {})
    silent = Losing()
    story(silent)
    silent.finish()
    with pytest.raises(AssertionError):
        silent.check()
    for each in (chain, silent):
        each.loop.close()
