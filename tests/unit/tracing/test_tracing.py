"""Traces: ids follow from positions alone, all stages agree, and the collector gets what it understands."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.tracing import FIRST, Traced, Tracer, traced, tracer
from k2stream.tracing.ids import is_sampled, seed, span_id, trace_ids

OFFSETS = np.arange(50_000)


def ids(exchange, partition, offsets):
    seeds = np.full(len(offsets), seed(exchange), np.uint64)
    return trace_ids(seeds, np.full(len(offsets), partition), np.asarray(offsets))


def recorded(one_in):
    found = []
    return Tracer(one_in, found.extend), found


@given(st.lists(st.integers(0, 2**62), min_size=1, max_size=50, unique=True), st.integers(0, 64))
def test_ids_do_not_depend_on_batches(offsets, partition):
    whole = np.stack(ids("kraken", partition, offsets))
    parts = [np.stack(ids("kraken", partition, [offset])) for offset in offsets]
    assert (whole == np.concatenate(parts, axis=1)).all()


def test_no_two_trades_share_a_trace():
    found = {
        pair
        for exchange in ("binance", "kraken")
        for partition in range(4)
        for pair in zip(*(part.tolist() for part in ids(exchange, partition, OFFSETS)), strict=True)
    }
    assert len(found) == 2 * 4 * len(OFFSETS)


@pytest.mark.parametrize("one_in", [1, 2, 10, 1000])
def test_the_sample_is_as_large_as_asked(one_in):
    high, _ = ids("binance", 0, OFFSETS)
    share = is_sampled(high, one_in).mean()
    assert share == pytest.approx(1 / one_in, abs=4 * (1 / one_in / len(OFFSETS)) ** 0.5)


def test_a_trade_in_the_sample_of_few_is_in_that_of_many():
    high, _ = ids("binance", 0, OFFSETS)
    assert not (is_sampled(high, 1000) & ~is_sampled(high, 10)).any()


def test_the_stages_of_a_trade_are_one_trace_under_its_first_span():
    made, found = recorded(100)
    count = 3000
    keys = [b"kraken:BTC/USD", b"kraken:ETH/USD"] * (count // 2)
    offsets, times = np.arange(count), np.arange(count) * 1000
    of_one = traced(keys, 3, offsets)
    made.passed(FIRST, of_one, times, times + 5)
    by_exchange = (
        Traced(  # as the candles worker and the sinks have them: of several exchanges, in other batches
            ["binance:BTC/USDT", "kraken:BTC/USD", "kraken:ETH/USD"],
            of_one.key + 1,
            of_one.partition,
            offsets,
        )
    )
    halves = (
        by_exchange._replace(
            key=by_exchange.key[part], partition=by_exchange.partition[part], offset=offsets[part]
        )
        for part in (slice(0, 1000), slice(1000, count))
    )
    for half in halves:
        made.passed("hot", half, half.offset * 1000 + 5, half.offset * 1000 + 9)
    first, hot = ([span for span in found if span.stage == stage] for stage in (FIRST, "hot"))
    assert len(first) > 10
    assert [span.trace_id for span in first] == [span.trace_id for span in hot]
    assert [span.span_id for span in first] == [span.parent for span in hot]
    assert all(span.parent == 0 for span in first)
    for span in hot:
        assert (span.start, span.end) == (span.offset * 1000 + 5, span.offset * 1000 + 9)
        assert (span.exchange, span.symbol, span.partition) == (
            "kraken",
            ["BTC/USD", "ETH/USD"][span.offset % 2],
            3,
        )


def test_a_span_never_ends_before_it_begins():
    made, found = recorded(1)
    made.passed("hot", traced([b"kraken:BTC/USD"], 0, np.array([7])), np.array([10]), np.array([9]))
    assert [(span.start, span.end) for span in found] == [(10, 10)]


def test_nothing_is_traced_unless_asked():
    assert tracer("hot", 0, "http://127.0.0.1:1") is None


def test_a_span_has_an_id_of_its_own_in_each_stage():
    assert len({span_id(1, 2, stage) for stage in (FIRST, "normalize", "candles", "hot", "cold")}) == 5
