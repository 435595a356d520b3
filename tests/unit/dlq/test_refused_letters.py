"""What is refused before anything is claimed; tests/integration/test_replays.py has the rest."""

from contextlib import asynccontextmanager

import pytest

from k2stream import deadletter, topics
from k2stream.batch import TP
from k2stream.deadletter import DeadLetter
from k2stream.dlq import replay as module
from k2stream.dlq.claims import Id, Replay
from k2stream.dlq.replay import replay
from k2stream.kafka.groups import Committed
from k2stream.settings import Settings

RAW = topics.raw("kraken")


@pytest.fixture
def broker(monkeypatch):
    """The replays that its topic has, and the committed offsets of the normalizer; it has nothing else."""
    known, offsets = {}, {}

    async def given(found):
        return found

    @asynccontextmanager
    async def nothing(*_):
        yield None

    monkeypatch.setattr(module, "ensure_topics", lambda *_: given(None))
    monkeypatch.setattr(module, "Reader", nothing)
    monkeypatch.setattr(module, "producing", nothing)
    monkeypatch.setattr(module._Run, "put_back", lambda _, items: given([one.plan.topic for one in items]))
    monkeypatch.setattr(module, "replays", lambda _: given(known))
    monkeypatch.setattr(module, "committed", lambda *_: given(offsets))
    return known, offsets


def letter(offset, **other):
    given = {"stage": "normalize", "topic": RAW, "partition": 0, "offset": offset} | other
    return DeadLetter(cause="bad", exchange="kraken", time=1, original=deadletter.original(b"{}"), **given)


async def outcomes(*letters):
    return [
        getattr(outcome, "text", outcome) async for outcome in replay(Settings(), list(enumerate(letters)))
    ]


async def test_a_record_that_the_normalizer_reads_again_itself_is_refused(broker):
    """Killed between a letter and its commit, it read the original and the record that was replayed."""
    _, offsets = broker
    (text,) = await outcomes(letter(7))
    assert "normalize has not passed market.crypto.trades.kraken.raw[0] offset 7 yet, and reads it" in text
    offsets[TP(RAW, 0)] = Committed(7, "")
    assert "offset 7 yet, and reads it again itself" in (await outcomes(letter(7)))[0]


async def test_a_raw_record_that_was_replayed_is_refused(broker):
    known, offsets = broker
    offsets[TP(RAW, 0)] = Committed(8, "")
    known[Id(0, 1)] = Replay("run", 2, RAW, {0: 9}, ((0, 9),))
    (text,) = await outcomes(letter(7))
    assert text.startswith("refused: replayed at ")


async def test_a_row_that_was_put_back_is_looked_for_again(broker):
    """Its table may have been restored to an earlier point, and no other reader has the record."""
    known, _ = broker
    known[Id(0, 1)] = Replay("run", 2, "cold.silver_trades", {}, ((0, 7),))
    sunk = letter(7, stage="cold", reader="cold.silver_trades", topic=topics.NORMALIZED)
    assert await outcomes(sunk) == ["cold.silver_trades"]
