"""Which partition counts are possible, what grows with them, and which symbols move where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream import topics
from k2stream.kafka import counts
from k2stream.kafka.counts import NORMALIZED, CountChange
from k2stream.model.errors import ConfigError
from k2stream.partitions import plan
from k2stream.partitions.plan import SymbolMove
from k2stream.settings import make

EXCHANGE = topics.EXCHANGES[0]
RAW = topics.raw(EXCHANGE)


@given(st.text(max_size=12), st.integers(1, 8), st.integers(1, 5), st.integers(1, 5))
def test_a_symbol_stays_or_goes_to_a_new_partition_and_ascending_order_is_that_of_its_records(
    symbol, count, first, second
):
    at = [topics.partition_of(symbol, each) for each in (count, count * first, count * first * second)]
    for before, after, counted in zip(at, at[1:], (count, count * first), strict=False):
        assert after == before or after >= counted
    assert at == sorted(at)
    assert set(at) <= set(topics.partitions_of(symbol, count * first * second))
    assert topics.partitions_of(symbol, count * first * second)[-1] == at[-1]


@given(st.lists(st.text(max_size=8), unique=True), st.integers(1, 6), st.integers(2, 4))
def test_what_moves_leaves_the_partition_that_the_new_one_begins_after(symbols, before, times):
    change = CountChange(EXCHANGE, before, before * times)
    made = plan.CountPlan(change, make(), {})
    found = plan.moves(symbols, change)
    assert all(made.origins[move.after] == move.before for move in found.values())
    for symbol in set(symbols) - found.keys():
        assert topics.partition_of(symbol, before) == topics.partition_of(symbol, before * times)


def test_moves_of_known_symbols():
    # murmur2 of these names modulo 2 and 4, as Kafka's own partitioner computes it.
    names = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"]
    found = plan.moves(names, CountChange(EXCHANGE, 2, 4))
    expected = {
        name: SymbolMove(topics.partition_of(name, 2), topics.partition_of(name, 4))
        for name in names
        if topics.partition_of(name, 4) >= 2
    }
    assert found == expected
    assert found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (CountChange(EXCHANGE, 4, 2), f"{RAW} has 4 partitions: 2 would delete those above"),
        (CountChange(NORMALIZED, 4, 3), f"{topics.NORMALIZED} has 4 partitions: 3 would delete"),
        (CountChange(EXCHANGE, 4, 6), "6 is no multiple of it.*8 is the next one possible"),
    ],
)
def test_a_count_that_would_lose_or_disorder_records_is_refused_in_one_line(change, said):
    with pytest.raises(ConfigError, match=said) as refused:
        plan.check(change)
    assert "\n" not in str(refused.value)


def test_multiples_are_possible_and_any_more_of_what_derives():
    plan.check(CountChange(EXCHANGE, 4, 12))
    plan.check(CountChange(NORMALIZED, 4, 5))


def test_the_canonical_count_follows_a_raw_one_and_only_what_is_smaller_grows():
    settings = make(**{f"{EXCHANGE}_partitions": 2, "normalized_partitions": 3})
    change = CountChange(EXCHANGE, 2, 4)
    after = plan.after(settings, change)
    now = {topic.name: topic.partitions for topic in topics.declared(settings.kafka)}
    own, other = (f"k2-normalize-positions_{name}-changelog" for name in topics.EXCHANGES[:2])
    tables = {own: 2, other: 1, "k2-candles-ohlcv_1m-changelog": 3, "k2-other-changelog": 1, "strange": 1}
    made = plan.plan(after, change, {**now, **tables})
    derived = {topic.name for topic in topics.declared(settings.kafka) if topic.partitions == 3}
    assert made.grows == {RAW: 4, own: 4, "k2-candles-ohlcv_1m-changelog": 4, **dict.fromkeys(derived, 4)}
    assert made.variables == {f"K2_{EXCHANGE.upper()}_PARTITIONS": 4, "K2_NORMALIZED_PARTITIONS": 4}
    assert made.origins == {2: 0, 3: 1}
    assert all(
        topic.partitions == made.grows.get(topic.name, now[topic.name])
        for topic in topics.declared(after.kafka)
    )


def test_a_raw_count_below_the_canonical_one_leaves_that_alone():
    settings = make(**{f"{EXCHANGE}_partitions": 2, "normalized_partitions": 8})
    after = plan.after(settings, CountChange(EXCHANGE, 2, 4))
    assert (after.kafka.raw_partitions(EXCHANGE), after.kafka.normalized_partitions) == (4, 8)
    grown = plan.CountPlan(CountChange(NORMALIZED, 8, 16), after, {})
    assert grown.origins == {}


def test_a_change_that_has_begun_is_read_from_the_topics():
    change = CountChange(EXCHANGE, 2, 4)
    assert counts.interrupted(["a", change.marker, RAW]) == change
    assert counts.interrupted(["a", RAW]) is None


def test_the_settings_agree_with_the_topics_and_a_count_that_is_set_may_stay():
    settings = make(**{f"{EXCHANGE}_partitions": 2})
    found = {RAW: 4, topics.NORMALIZED: 8}
    read = counts.agreeing(settings, found)
    assert (read.kafka.raw_partitions(EXCHANGE), read.kafka.normalized_partitions) == (4, 8)
    kept = counts.agreeing(settings, found, unset_only=True)
    assert (kept.kafka.raw_partitions(EXCHANGE), kept.kafka.normalized_partitions) == (2, 8)


def test_new_records_go_where_a_symbol_is_now_and_strange_ones_stay():
    symbol = next(name for name in map(str, range(99)) if topics.partition_of(name, 4) == 2)
    assert topics.partition_since(symbol, 0, 4) == 2
    assert topics.partition_since(symbol, 2, 4) == 2
    assert topics.partition_since(symbol, 1, 4) == 1
    assert topics.partition_since(symbol, 0, 2) == 0
