"""How the position of a sink is judged: by its identity, or by its offset alone; one query for all."""

import pytest

from k2stream.batch import TP, proof
from k2stream.batch.proof import Proof, Shown
from k2stream.delivery.progress import SinkPosition
from k2stream.mend import positions
from k2stream.settings import KafkaSettings

LAST = Proof(9, 1_700_000_000_000, 77)
SOURCE = proof.write(proof.identity(LAST, topic_id="1a"))


def stored(offset: int, source: str = "") -> SinkPosition:
    return SinkPosition(offset, source=source)


@pytest.mark.parametrize(
    ("position", "shown", "refused", "reads"),
    [
        (stored(9, SOURCE), Shown(0, 20, LAST, "1a"), False, True),
        (stored(9, SOURCE), Shown(0, 20, LAST._replace(crc=78), "1a"), True, False),
        (stored(9, SOURCE), Shown(0, 20, LAST, "1b"), True, False),
        (stored(9, SOURCE), Shown(12, 20, None, "1a"), False, False),
        (stored(9), Shown(0, 20), False, None),
        (stored(9), Shown(0, 5), True, False),
        (stored(-1), Shown(0, 5), False, None),
    ],
    ids=[
        "as it was",
        "other content",
        "recreated",
        "expired",
        "no identity",
        "cut, no identity",
        "nothing read",
    ],
)
def test_a_position_is_judged_by_the_record_that_it_names(position, shown, refused, reads):
    (one,) = positions.judge_all("raw", {3: position}, {TP("raw", 3): shown}).values()
    assert (one.refused, one.reads, one.position) == (refused, reads, position)


async def test_all_partitions_are_judged_by_one_query(monkeypatch):
    asked = []

    async def shown_at(settings, wanted):
        asked.append(wanted)
        return {tp: Shown(0, 20, LAST if tp.partition == 0 else None, "1a") for tp in wanted}

    monkeypatch.setattr(positions, "shown_at", shown_at)
    given = {0: stored(9, SOURCE), 1: stored(30), 2: stored(19)}
    found = await positions.judged(KafkaSettings(), "raw", given)
    assert asked == [{TP("raw", 0): 9, TP("raw", 1): 30, TP("raw", 2): 19}]
    assert [number for number, one in found.items() if one.refused] == [1]


async def test_without_positions_the_broker_is_not_asked(monkeypatch):
    monkeypatch.setattr(positions, "shown_at", None)
    assert await positions.judged(KafkaSettings(), "raw", {}) == {}
