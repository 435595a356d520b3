"""Records that a sink cannot read."""

import pytest

from k2stream.delivery.progress import SinkPosition
from k2stream.delivery.sink import Sink
from tests.unit.delivery.memory import NEVER, ROUTE, Consumer, Memory, beginning, records


async def test_a_letter_is_durable_before_the_position_goes_past_it(acks):
    """An unreadable record ended the worker, again after each start."""
    store = Memory()

    async def bury(letters):
        assert store.rows == {}
        store.calls.append(
            ("letters", [(letter.reader, letter.partition, letter.offset) for letter in letters])
        )

    sink = Sink(store, NEVER, beginning, Consumer().go_back, bury)
    given = records(0, 3)
    given.values[1] = b"\xff"
    await sink.put(ROUTE, given, acks.named("a"))
    await sink.flush()
    assert store.calls[1:] == [
        ("letters", [("table", 0, 1)]),
        ("write", "trades:0:0-3"),
        ("save", {0: 3}),
    ]
    assert (store.rows, acks) == ({"trades:0:0-3": ["0", "2", "3"]}, ["a"])


async def test_a_letter_that_is_not_durable_holds_the_position_back(acks):
    async def bury(letters):
        raise RuntimeError("the broker refused it")

    store = Memory()
    sink = Sink(store, NEVER, beginning, Consumer().go_back, bury)
    given = records(0, 3)
    given.values[3] = b"\xff"
    await sink.put(ROUTE, given, acks.named("a"))
    with pytest.raises(RuntimeError):
        await sink.flush()
    assert ([kind for kind, _ in store.calls], acks) == (["open"], [])


async def test_what_the_destination_holds_gives_no_letter_again(acks):
    sink = Sink(Memory({0: SinkPosition(4)}), NEVER, beginning, Consumer().go_back)
    given = records(0, 5)
    given.values[2] = b"\xff"
    await sink.put(ROUTE, given, acks.named("a"))
    assert await sink.flush() == {"table": 1}
