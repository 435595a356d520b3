"""What the chain's model must see: rules of the product taken back one by one, each by a short story.

Without the fault the same story ends well.
"""

import builtins
from dataclasses import replace

import pytest

from k2stream.batch import BatchTable
from k2stream.candles import partition
from k2stream.delivery import anchors, epochs, unsaved
from k2stream.delivery import sink as base
from k2stream.delivery.epochs import Move
from k2stream.delivery.route import no_replays
from k2stream.layers import silver
from tests.property import sink_stores
from tests.property.chain import sink, workers
from tests.property.test_chain import Chain

ALL = 1000


@pytest.fixture
def chain(monkeypatch):
    monkeypatch.setattr(base.backoff, "__defaults__", (0.0, 0.0))
    made = Chain()
    yield made
    made.loop.close()


def trades(chain, *, apart=20):
    for symbol in ("BTCUSDT", "ETHUSDT"):
        chain.publish(symbol, [apart] * 4, 1)


def ended(chain):
    """The check of the end: AssertionError where a trade is lost or counted twice."""
    chain.finish()
    chain.check()


# Stories


def dies_once_its_outputs_arrived(chain):
    trades(chain)
    chain.work("normaliser", ALL, 1 + 8, "dies")


def dies_amid_the_changelogs(chain, steps):
    trades(chain)
    chain.work("normaliser", ALL, ALL, "lives")
    worker = chain.workers["candles"]
    worker.deliver(ALL)
    worker.go_on(1)  # takes the changes
    worker.go_on(len(worker.held) + len(worker.sent) + steps)
    chain.work("candles", 0, 0, "dies")
    trades(chain, apart=1)


def freezes_amid_the_changelogs(chain):
    trades(chain)
    chain.work("normaliser", ALL, ALL, "lives")
    worker = chain.workers["candles"]
    worker.deliver(ALL)
    worker.go_on(2)
    chain.work("candles", 0, 0, "freezes")
    trades(chain, apart=1)
    chain.flow()
    chain.zombie_wakes(0, 0, ALL)
    chain.work("candles", 0, 0, "dies")
    trades(chain, apart=1)


def comes_back_as_it_was(store, *, copy):
    def story(chain):
        trades(chain)
        chain.flow()
        chain.restore(store, None)
        trades(chain)
        chain.flow()
        chain.restore(store, copy)
        trades(chain)
        chain.flow()

    return story


def comes_back_empty_and_gets_the_same_again(chain):
    trades(chain)
    chain.flow()
    chain.restore("hot", 0)
    chain.sinks["hot"].check()
    chain.flow()


# Faults


def replays_are_not_dropped(patch):
    patch.setattr(sink, "ROUTE", replace(silver.ROUTE, fresh=no_replays))


def progress_is_written_before_the_windows(patch):
    patch.setattr(workers, "sorted", lambda stages: builtins.sorted(stages, reverse=True), raising=False)


def entries_of_a_zombie_count(patch):
    made = BatchTable.__init__

    def init(self, *args, supersedes=None, **options):
        made(self, *args, **options)

    patch.setattr(BatchTable, "__init__", init)


def windows_ahead_of_their_progress_take_all(patch):
    patch.setattr(partition.CandlePartition, "_applied", lambda self, key: 1 << 60)


def a_save_goes_on_from_anything(patch):
    patch.setattr(
        unsaved,
        "moves",
        lambda written: {key: Move(-1, move.position) for key, move in moved(written).items()},
    )
    patch.setattr(anchors.Anchors, "check", nothing)


def a_batch_follows_on_from_anything(patch):
    patch.setattr(sink_stores, "follows", lambda *_: True)
    patch.setattr(anchors.Anchors, "check", nothing)


def a_refill_has_the_epoch_of_before(patch):
    for module in (anchors, sink):
        patch.setattr(module, "renamed", lambda position: replace(position, epoch="0000000000000001-a"))


async def nothing(self, route):
    pass


moved = epochs.moves
SEEN = [
    (replays_are_not_dropped, dies_once_its_outputs_arrived),
    (progress_is_written_before_the_windows, lambda chain: dies_amid_the_changelogs(chain, 2)),
    (windows_ahead_of_their_progress_take_all, lambda chain: dies_amid_the_changelogs(chain, 8)),
    (entries_of_a_zombie_count, freezes_amid_the_changelogs),
    (a_save_goes_on_from_anything, comes_back_as_it_was("hot", copy=1)),  # A3
    (a_batch_follows_on_from_anything, comes_back_as_it_was("cold", copy=1)),  # A4
    (a_refill_has_the_epoch_of_before, comes_back_empty_and_gets_the_same_again),  # A9
]


@pytest.mark.parametrize(("fault", "story"), SEEN, ids=[fault.__name__ for fault, _ in SEEN])
def test_a_story_ends_well_and_with_the_fault_it_does_not(chain, monkeypatch, fault, story):
    story(chain)
    ended(chain)
    with pytest.MonkeyPatch.context() as patch:
        fault(patch)
        broken = Chain()
        with pytest.raises(AssertionError):
            story(broken)
            ended(broken)
        broken.loop.close()
