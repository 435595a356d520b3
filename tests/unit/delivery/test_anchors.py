"""Where partitions begin, by what their destination says of them."""

import pytest

from k2stream.delivery.anchors import Anchors
from k2stream.delivery.destination import MissingRows
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.layers import silver

ROUTE = silver.ROUTE


class Destination:
    """Holds positions, and counts how often it is asked for them."""

    def __init__(self, held):
        self.held, self.asked = held, 0

    def positions(self, route):
        self.asked += 1
        return dict(self.held)

    def open(self, positions):
        for (_, partition), position in positions.items():
            self.held[partition.partition] = position


async def at_once(what, call):
    return call()


def anchors(destination):
    async def earliest(partition):
        return 0

    async def right(route, partition, position):
        pass

    return Anchors(destination, earliest, at_once, right)


async def test_a_table_is_asked_once_for_the_partitions_that_begin_together_and_again_after_a_rebalance():
    """Four partitions of ten tables, asked for one by one, took longer than the next rebalance to come."""
    held = {number: SinkPosition(99, {}, "epoch", "") for number in range(4)}
    destination = Destination(held)
    begun = anchors(destination)
    for _ in (1, 2):
        destination.asked = 0
        for number in range(4):
            found = await begun.begin(ROUTE, SourcePartition(ROUTE.topic, number), 100)
            assert found.offset == 99
        assert destination.asked == 1
        begun.reset()


async def test_what_was_asked_for_again_and_has_not_come_yet_is_asked_for_once_more():
    """It is missing only when it was delivered without."""
    begun, at = anchors(Destination({})), SourcePartition(ROUTE.topic, 0)
    for _ in (1, 2):
        await begun.look(ROUTE, {at: 7})
        assert begun.returning == {at: 0}
        begun.gone_back()
    with pytest.raises(MissingRows):
        await begun.begin(ROUTE, at, 5)
