"""A rebuild goes through the partitions upwards, and finds where each symbol belongs."""

import numpy as np

from k2stream import exchanges, topics
from k2stream.avro import registry, wire
from k2stream.batch import TP, RecordBatch
from k2stream.normalizer import SymbolPosition, normalize
from k2stream.replay.places import Places
from k2stream.replay.rebuild import Rebuild
from k2stream.replay.source import SourceRange
from k2stream.settings import make

EXCHANGE = "binance"
SYMBOL = next(
    name for name in ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT") if topics.partition_of(name, 4) >= 2
)
OLD, NEW = topics.partition_of(SYMBOL, 2), topics.partition_of(SYMBOL, 4)
KEY = f"{EXCHANGE}:{SYMBOL.removesuffix('USDT')}/USDT"
BASE = 1_700_000_000_000


def record(number):
    time = BASE + number * 1_000
    return (
        b'{"e":"trade","E":%d,"s":"%s","t":%d,"p":"%d.5","q":"1","T":%d,"m":true,"M":true,'
        b'"k2_recv":%d,"k2_conn":"a","k2_seq":%d}'
    ) % (time, SYMBOL.encode(), number + 1, number % 7 + 1, time, time * 1000, number)


def batch(partition, offset, numbers):
    values = [record(number) for number in numbers]
    offsets = np.arange(offset, offset + len(values))
    times = np.full(len(values), BASE)
    return RecordBatch(
        TP(topics.raw(EXCHANGE), partition), offsets, times, [SYMBOL.encode()] * len(values), values
    )


def rebuilt(count, *parts):
    built = Rebuild(make(**{f"{EXCHANGE}_partitions": count, "normalized_partitions": count}))
    for number, begin, numbers in parts:
        built.begin(SourceRange(EXCHANGE, number, begin, begin + len(numbers)))
        if numbers:
            built.take(EXCHANGE, batch(number, begin, numbers))
    return built


def test_a_symbol_that_moved_has_one_state_of_all_its_records_where_it_is_now():
    split = rebuilt(4, (OLD, 0, range(150)), (NEW, 150, range(148, 300)))  # two of them twice
    whole = rebuilt(2, (OLD, 0, [*range(150), *range(148, 300)]))
    placed, expected = split.placed(), whole.placed()
    assert list(placed.positions) == [(EXCHANGE, NEW)]
    assert placed.positions[EXCHANGE, NEW] == expected.positions[EXCHANGE, OLD]
    assert placed.progress == {NEW: expected.progress[OLD]}
    assert list(placed.windows) == [NEW]
    for timeframe, windows in expected.windows[OLD].items():
        found = placed.windows[NEW][timeframe]
        assert {
            key: (s.open, s.high, s.low, s.close, s.records, s.raw_offset) for key, s in found.items()
        } == {key: (s.open, s.high, s.low, s.close, s.records, s.raw_offset) for key, s in windows.items()}
    assert sum(state.records for state in placed.windows[NEW]["1d"].values()) == 300


def test_a_symbol_without_a_record_since_it_moved_belongs_to_its_new_partition():
    placed = rebuilt(4, (OLD, 0, range(150)), (NEW, 150, [])).placed()
    assert list(placed.positions) == [(EXCHANGE, NEW)]
    assert list(placed.progress) == list(placed.windows) == [NEW]


def test_records_of_another_program_stay_in_the_partition_where_they_are():
    places = Places()
    strange = 1 - OLD
    places.begin((EXCHANGE, strange), 0)
    places.begin((EXCHANGE, NEW), 0)
    places.take((EXCHANGE, strange), 0, [SYMBOL])
    assert places.home(EXCHANGE, SYMBOL, 10, 4) == strange
    places.take((EXCHANGE, OLD), 0, [SYMBOL])
    assert places.home(EXCHANGE, SYMBOL, 10, 4) == OLD  # no partition begins after it: no count has grown


def canonical(partition, numbers):
    """Canonical trades as the normalizer writes them of raw records at offsets that equal their numbers."""
    unknown: dict[str, SymbolPosition] = {}
    done = normalize(
        exchanges.get(EXCHANGE),
        batch(partition, numbers[0], numbers),
        unknown.get,
        lambda symbol: f"{symbol.removesuffix('USDT')}/USDT",
        schema_id=9,
        process_time=1,
    )
    registry.learn(9, wire.declared("trade"))
    rows = np.arange(len(done.values))
    return RecordBatch(
        TP(topics.NORMALIZED, partition), rows, np.zeros_like(rows), [*done.keys], [*done.values]
    )


def contents(placed):
    return {
        (number, timeframe, key): (s.open, s.high, s.low, s.close, s.volume, s.records, s.raw_offset)
        for number, found in placed.windows.items()
        for timeframe, windows in found.items()
        for key, s in windows.items()
    }


def test_canonical_trades_are_folded_where_raw_records_are_gone_and_repeats_are_not():
    whole = rebuilt(2, (OLD, 0, range(150)))
    gone = rebuilt(2, (OLD, 0, range(40)))
    for numbers in (range(40, 100), range(90, 120), range(120, 150)):
        gone.fold(canonical(OLD, numbers))
    assert contents(gone.placed()) == contents(whole.placed())
    assert gone.placed().progress == whole.placed().progress


def test_a_key_of_which_only_canonical_trades_are_left_is_where_they_are():
    built = rebuilt(2, (OLD, 0, range(0)))
    built.fold(canonical(OLD, range(150)))
    assert contents(built.placed()) == contents(rebuilt(2, (OLD, 0, range(150))).placed())


def test_a_symbol_that_moved_has_its_canonical_trades_of_both_partitions():
    built = rebuilt(4, (OLD, 0, range(100)))
    built.fold(canonical(OLD, range(100, 150)))
    built.begin(SourceRange(EXCHANGE, NEW, 150, 150))
    assert set(built.placed().windows) == {NEW}  # it begins after all that the symbol has
    built.fold(canonical(NEW, range(150, 300)))
    assert contents(built.placed()) == {
        (NEW, *key): found for (_, *key), found in contents(rebuilt(2, (OLD, 0, range(300))).placed()).items()
    }
