"""The comparison finds what differs and nothing else."""

from k2stream.verify.compare import LayerCandle, compare_candles, compare_counts
from k2stream.verify.oracle import LayerSum, OracleCandle

KEY = ("binance", "BTCUSDT", "1m", 60_000)
CANDLE = OracleCandle(*range(1, 13), records=7, raw_offset=40)


def held(candle=CANDLE, final=False, **changes):
    return LayerCandle(candle._replace(records=candle.records + final, **changes), final)


def test_equal_candles_do_not_differ_whether_final_or_not():
    for final in (False, True):
        result = compare_candles("tables", {KEY: CANDLE}, {KEY: held(final=final)})
        assert (result.compared, result.newer, result.differences) == (1, 0, [])


def test_every_field_is_compared():
    for name in OracleCandle._fields:
        changed = {KEY: LayerCandle(CANDLE._replace(**{name: getattr(CANDLE, name) - 1}), False)}
        (difference,) = compare_candles("tables", {KEY: CANDLE}, changed).differences
        assert difference.field == ("revision" if name == "records" else name)
        assert "binance BTCUSDT 1m" in str(difference)


def test_a_candle_that_moved_on_is_not_compared():
    result = compare_candles("tables", {KEY: CANDLE}, {KEY: held(raw_offset=41, high=99)})
    assert (result.compared, result.newer, result.differences) == (0, 1, [])


def test_a_missing_and_an_invented_candle_are_differences():
    other = ("binance", "BTCUSDT", "1m", 120_000)
    result = compare_candles("tables", {KEY: CANDLE}, {other: held()})
    assert [(d.what, d.found) for d in result.differences] == [
        ("binance BTCUSDT 1m candle at 60000", "missing"),
        ("binance BTCUSDT 1m candle at 120000", "present"),
    ]


def test_a_new_window_after_the_oracle_looked_is_no_difference():
    later = ("binance", "BTCUSDT", "1m", 120_000)
    result = compare_candles("tables", {KEY: CANDLE}, {KEY: held(), later: held(raw_offset=41)})
    assert (result.newer, result.differences) == (1, [])


def test_only_candles_past_their_retention_may_be_missing():
    keys = [("binance", "BTCUSDT", "1m", n * 60_000) for n in range(5)]
    expected = dict.fromkeys(keys, CANDLE)
    found = {key: held() for key in keys[2:]}
    assert compare_candles("tables", expected, found, retention=3).differences == []
    del found[keys[3]]
    assert len(compare_candles("tables", expected, found, retention=3).differences) == 1


def test_counts_differ_when_an_exchange_is_missing():
    one = LayerSum(1, 2, 3)
    assert compare_counts("silver", {"binance": one}, {"binance": one}).differences == []
    assert len(compare_counts("silver", {"binance": one}, {}).differences) == 1
    assert len(compare_counts("silver", {}, {"binance": one}).differences) == 1


def test_while_feeds_run_a_layer_may_hold_more_but_never_less():
    one, two = LayerSum(1, 2, 3), LayerSum(2, 4, 6)
    assert compare_counts("silver", {"binance": one}, {"binance": two}, live=True).differences == []
    assert len(compare_counts("silver", {"binance": two}, {"binance": one}, live=True).differences) == 1
    assert len(compare_counts("silver", {"binance": one}, {"binance": two}).differences) == 1
