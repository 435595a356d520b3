"""A million mutated frames through parser, dead letters and normaliser: F16."""

from collections import Counter
from dataclasses import replace
from random import Random

import msgspec
import numpy as np
import pytest
from faust.types import TP

from k2stream import topics
from k2stream.avro import registry, wire
from k2stream.batch import RecordBatch
from k2stream.deadletter import DeadLetter
from k2stream.exchanges import REGISTRY
from k2stream.exchanges.spec import Frame, Kind
from k2stream.feed.batch import Batcher, Connection
from k2stream.model.events import EventKind
from k2stream.normalizer import normalize
from tests.fault import report
from tests.property.test_exchanges import FRAMES

pytestmark = pytest.mark.fault

INPUTS = 350_000
AT_ONCE = 1_000
SCHEMA_ID = 1016  # no registry of the other tests gets so far
NOW = 1_700_000_000_000_000

TOKENS = (
    b"", b"null", b"true", b"[]", b"{}", b'""', b"-1", b"0", b"1e400", b"1e-19", b"9" * 30, b"NaN", b"\\",
    b"\xff", b"\0", b'"', b"\\u0000", b"}", b"]", b",", b'"s":"BTCUSDT",', b'"p":"0"',
    b'"2286-11-20T17:46:40Z"',
)  # fmt: skip


def mutated(random, frames):
    """A real frame after one to three cuts, copies, flipped bits, foreign pieces or changed digits."""
    frame = random.choice(frames)
    for _ in range(random.choice((1, 1, 1, 1, 2, 3))):
        start, stop = sorted((random.randrange(len(frame) + 1), random.randrange(len(frame) + 1)))
        if random.random() < 0.8:
            stop = min(stop, start + 8)
        match random.randrange(10):
            case 0:
                frame = frame[:start] + frame[stop:]
            case 1:
                frame = frame[:stop] + frame[start:stop] + frame[stop:]
            case 2:
                flipped = bytes(byte ^ (1 << random.randrange(8)) for byte in frame[start : start + 2])
                frame = frame[:start] + flipped + frame[start + 2 :]
            case 3:
                frame = frame[:start] + random.choice(TOKENS) + frame[stop:]
            case 4:
                other = random.choice(frames)
                frame = frame[:start] + other[random.randrange(len(other)) :][:200] + frame[stop:]
            case _:
                frame = frame[:start] + _digits(random, frame[start:stop]) + frame[stop:]
    return frame


def _digits(random, piece):
    return bytes(random.choice(b"0123456789") if byte in b"0123456789" else byte for byte in piece)


class Fuzzed:
    """One exchange's way from frame to canonical trade, with everything it gives counted."""

    def __init__(self, exchange):
        self.exchange, self.rejects, self.frames = exchange, 0, Counter()
        self.batcher = Batcher(replace(exchange, parse=self._parse), 1, simulated=False)
        self.link, self.positions, self.offset = Connection("fuzz-1"), {}, 0

    def _parse(self, data):
        frame = self.exchange.parse(data)
        assert isinstance(frame, Frame)
        self.rejects += len(frame.rejects)
        self.frames[frame.kind] += 1
        return frame

    def through(self, frames):
        """Frames to canonical trades: how many records, dead letters and duplicates there were on the way."""
        before = self.rejects
        for frame in frames:
            self.batcher.add(self.link, NOW, frame)
        batch = self.batcher.take()
        letters = batch.columns.get((topics.DLQ, 0))
        said = [msgspec.json.decode(value, type=DeadLetter) for value in letters.values] if letters else []
        assert len(said) == self.rejects - before, "a reject without its dead letter"
        assert all(letter.cause and letter.exchange == self.exchange.name for letter in said)
        column = batch.columns.get((topics.raw(self.exchange.name), 0))
        return len(said), self._normalise(column) if column else (0, 0, 0, [])

    def _normalise(self, column):
        size = len(column.values)
        offsets = np.arange(self.offset, self.offset + size)
        self.offset += size
        batch = RecordBatch(
            TP(topics.raw(self.exchange.name), 0),
            offsets,
            np.array(column.timestamps),
            column.keys,
            column.values,
        )
        done = normalize(
            self.exchange,
            batch,
            self.positions.get,
            self.exchange.canonical,
            schema_id=SCHEMA_ID,
            process_time=NOW,
        )
        self.positions |= done.positions
        repeated = done.counted(EventKind.DUPLICATE)
        assert len(done.values) + len(done.dead_letters) + repeated == size, "a trade that went nowhere"
        return len(done.values), len(done.dead_letters), repeated, column.values


@pytest.mark.parametrize("name", REGISTRY)
def test_f16_a_third_of_a_million_mutated_frames(name):
    """F16: no crash; a dead letter for each reject; the next good frame is parsed as if nothing had been.

    Short form: tests/property/test_exchanges.py::test_parse_answers_any_mutation_of_a_real_frame.
    """
    registry.learn(SCHEMA_ID, wire.declared("trade"))
    exchange, random = REGISTRY[name], Random(f"F16:{name}")
    good = next(frame for frame in FRAMES[name] if exchange.parse(frame).trades)
    expected = [trade.body[:-1] for trade in exchange.parse(good).trades]
    fuzzed, checked = Fuzzed(exchange), Counter()
    for _ in range(0, INPUTS, AT_ONCE):
        dead, (canonical, refused, repeated, _) = fuzzed.through(
            mutated(random, FRAMES[name]) for _ in range(AT_ONCE)
        )
        checked.update(
            {"dead frames": dead, "canonical": canonical, "dead trades": refused, "duplicates": repeated}
        )
        _, (*_, values) = fuzzed.through([good])
        assert [value[: len(body)] for value, body in zip(values, expected, strict=True)] == expected
        checked["good frames between"] += 1
    assert min(checked["dead frames"], checked["dead trades"], checked["canonical"]) > INPUTS // 1000
    assert fuzzed.frames[Kind.TRADES] > INPUTS // 20
    kinds = {f"{kind} frames": count for kind, count in fuzzed.frames.items()}
    report.record(f"F16 {name}", {"mutated frames": INPUTS}, {**kinds, **checked})
