"""Raw records to canonical trades: causes of dead letters, replays, and that batching changes nothing."""

import json
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from faust.types import TP
from hypothesis import given, settings
from hypothesis import strategies as st

from k2stream import deadletter, exchanges, topics
from k2stream.avro import registry, trades, wire
from k2stream.batch import RecordBatch
from k2stream.deadletter import MAX_ORIGINAL
from k2stream.exchanges import raw
from k2stream.model import decimals
from k2stream.model.events import EventKind
from k2stream.model.trade import RawTrade
from k2stream.normalizer import AHEAD, SymbolPosition, normalize
from k2stream.normalizer.continuity import recent

SCHEMA_ID = 1003  # no registry of the other tests gets so far
NOW = 1_700_000_000_000_000
registry.learn(SCHEMA_ID, wire.declared("trade"))

BINANCE, KRAKEN, COINBASE = map(exchanges.get, ("binance", "kraken", "coinbase"))


def binance(number, price="100.10", quantity="2", symbol="BTCUSDT", time=NOW // 1000, **more):
    trade = {"e": "trade", "E": time + 1, "s": symbol, "t": number, "p": price, "q": quantity, "T": time}
    return symbol, record(symbol, trade | {"m": True, "M": True} | more)


def aggregated(number, first, last, symbol="BTCUSDT"):
    trade = {
        "e": "aggTrade",
        "E": NOW // 1000,
        "s": symbol,
        "a": number,
        "p": "1",
        "q": "1",
        "f": first,
        "l": last,
    }
    return symbol, record(symbol, trade | {"T": NOW // 1000, "m": False, "M": True})


def kraken(price="1.5", volume="0.1", time="1700000000.000001", symbol="XBT/USD"):
    fields = {"pair": symbol, "price": price, "volume": volume, "time": time, "side": "b", "orderType": "l"}
    return symbol, record(symbol, fields | {"misc": ""})


def coinbase(number, price="100", size="0.1", symbol="BTC-USD"):
    trade = {"trade_id": str(number), "product_id": symbol, "price": price, "size": size, "side": "BUY"}
    return symbol, record(symbol, trade | {"time": "2023-11-14T22:13:20.5Z", "type": "update"})


def record(symbol, trade):
    return raw.record(RawTrade(symbol, json.dumps(trade).encode()), NOW, "conn-1", 1)


def batch_of(exchange, records, first_offset=0, partition=1):
    """Records are (key, value)."""
    count = len(records)
    return RecordBatch(
        TP(topics.raw(exchange.name), partition),
        np.arange(first_offset, first_offset + count),
        np.full(count, NOW // 1000),
        [key.encode() for key, _ in records],
        [value for _, value in records],
    )


def run(exchange, records, positions=None, first_offset=0, process_time=NOW + 7, partition=1):
    return normalize(
        exchange,
        batch_of(exchange, records, first_offset, partition),
        (positions or {}).get,
        lambda symbol: {"XDG/USD": "DOGE/USD"}.get(symbol) or exchange.canonical(symbol),
        schema_id=SCHEMA_ID,
        process_time=process_time,
    )


def test_a_binance_trade_in_full():
    done = run(BINANCE, [binance(41)], first_offset=9)
    (trade,) = [trades.decode(done.values)]
    assert done.keys == [b"binance:BTC/USDT"]
    assert trade.exchange.tolist() == ["binance"] and trade.symbol.tolist() == ["BTCUSDT"]
    assert trade.canonical_symbol.tolist() == ["BTC/USDT"] and trade.trade_id.tolist() == ["41"]
    assert decimals.to_strings(decimals.from_fixed16(trade.price)) == ["100.1"]
    assert decimals.to_strings(decimals.from_fixed16(trade.quantity)) == ["2"]
    assert trade.taker_buy.tolist() == [False]  # the buyer was the maker
    assert trade.timestamp.tolist() == trade.receive_time.tolist() == [NOW]
    assert trade.process_time.tolist() == [NOW + 7]
    assert trade.raw_partition.tolist() == [1] and trade.raw_offset.tolist() == [9]
    assert trade.sequence.tolist() == [41] and trade.trade_count.tolist() == [1]
    assert trade.trade_conditions.tolist() == trade.validation_errors.tolist() == [[]]
    assert done.newest == {"BTCUSDT": (NOW, NOW, "100.10")}
    assert done.positions["BTCUSDT"].raw_offset == 9


def test_other_exchanges_keys_and_ids():
    assert run(KRAKEN, [kraken(symbol="XDG/USD")]).keys == [b"kraken:DOGE/USD"]
    done = run(COINBASE, [coinbase(5), coinbase(6)])
    assert done.keys == [b"coinbase:BTC/USD"] * 2
    assert trades.decode(done.values).trade_id.tolist() == ["5", "6"]
    assert trades.decode(done.values).taker_buy.tolist() == [False] * 2  # BUY is the maker's side


def test_identical_kraken_trades_are_all_kept_with_ids_of_their_own():
    done = run(KRAKEN, [kraken()] * 3)
    ids = trades.decode(done.values).trade_id.tolist()
    assert len(set(ids)) == 3 and all(name.startswith("KRAKEN-1700000000000001-") for name in ids)


def conditions(done):
    return trades.decode(done.values).trade_conditions.tolist()


def test_the_past_that_a_new_connection_tells_counts_once():
    def told(connection, *times):
        return [
            (symbol, value.replace(b'"conn-1"', b'"%s"' % connection))
            for symbol, value in (kraken(time=f"1700000000.{time:06d}") for time in times)
        ]

    first = run(KRAKEN, told(b"a", 1, 1, 2, 3))
    done = run(KRAKEN, told(b"b", 1, 1, 1, 2, 3, 4), first.positions, 4)
    assert trades.decode(done.values).timestamp.tolist() == [1_700_000_000_000_001, 1_700_000_000_000_004]
    assert done.counted(EventKind.DUPLICATE) == 4
    ids = [name for part in (first, done) for name in trades.decode(part.values).trade_id.tolist()]
    assert len(set(ids)) == 6


def test_a_restart_of_ids_is_part_of_each_trade():
    later = NOW // 1000 + 120_000
    first = run(BINANCE, [binance(5), binance(6)])
    done = run(BINANCE, [binance(5, "7", time=later), binance(6, "8", time=later)], first.positions, 2)
    assert conditions(first) == [[], []] and conditions(done) == [["epoch:1"]] * 2
    (event,) = done.events
    assert (event.kind, event.epoch, event.since) == (EventKind.RESTART, 1, NOW)
    # What is told late of before belongs there: known, or new.
    old = [binance(6), binance(4, "3"), binance(7, "9", time=later)]
    last = run(BINANCE, old, first.positions | done.positions, 4)
    assert trades.decode(last.values).trade_id.tolist() == ["4", "7"]
    assert conditions(last) == [[], ["epoch:1"]]


def test_beyond_what_is_remembered_the_time_decides(monkeypatch):
    monkeypatch.setattr(recent, "LIMIT", 2)
    start = run(BINANCE, [binance(number) for number in range(10)])
    offsets = (binance(3, "7", time=NOW // 1000 + late) for late in (0, 30_000, 70_000))
    repeat, doubt, new = (run(BINANCE, [record], start.positions, 10) for record in offsets)
    assert (repeat.counted(EventKind.DUPLICATE), len(repeat.values), len(repeat.dead_letters)) == (1, 0, 0)
    assert (doubt.counted(EventKind.DUPLICATE), len(doubt.values)) == (0, 0)
    assert doubt.dead_letters[0].cause.startswith("id 3 was seen: newer than the newest trade by less than")
    assert len(new.values) == 1 and new.events[0].kind is EventKind.RESTART


def test_state_of_the_release_before_epochs_is_read_as_epoch_0():
    text = b'{"raw_offset":7,"state":{"ids":{"":[41,[[0,40]]]},"newest":%d}}' % NOW
    position = msgspec.json.decode(text, type=SymbolPosition)
    done = run(BINANCE, [binance(41), binance(40), binance(42)], {"BTCUSDT": position}, 8)
    assert trades.decode(done.values).trade_id.tolist() == ["40", "42"]
    assert conditions(done) == [[], []] and not done.dead_letters
    assert done.positions["BTCUSDT"].state.ids[""].time == NOW


def backfilled(record, sequence=0):
    key, value = record
    head = value[: value.index(b',"k2_recv"')]
    return key, raw.record(RawTrade(key, head + b"}"), NOW, "x-rest-1", sequence, backfilled=True)


@pytest.mark.parametrize(
    ("exchange", "record"), [(BINANCE, binance(2)), (COINBASE, coinbase(2)), (KRAKEN, kraken())]
)
def test_what_was_fetched_later_says_so_and_is_no_news(exchange, record):
    first = run(exchange, [record, backfilled(record, 7)])
    kept = 2 if exchange is KRAKEN else 1  # an id is taken once, whichever way it came
    assert len(first.values) == kept
    done = trades.decode(run(exchange, [backfilled(record), backfilled(record, 1)]).values)
    assert done.trade_conditions.tolist() == [["backfilled"]] * kept
    again = run(exchange, [backfilled(record)])
    mixed = trades.decode_hot([*first.values[:1], *again.values], [*first.keys[:1], *again.keys])
    assert mixed.backfilled(np.array([0, 1])).tolist() == [False, True]
    assert not run(exchange, [backfilled(record)]).newest


def test_identical_kraken_trades_fetched_later_have_ids_of_their_own():
    records = [kraken(), kraken(), *(backfilled(kraken(), sequence) for sequence in range(3))]
    ids = trades.decode(run(KRAKEN, records).values).trade_id.tolist()
    assert len(set(ids)) == 5 and len({name.rpartition("-")[0] for name in ids}) == 1
    assert trades.decode(run(KRAKEN, records).values).trade_id.tolist() == ids


def test_aggregated_trades_say_so():
    done = trades.decode(run(BINANCE, [binance(1), aggregated(7, 10, 14)]).values)
    assert done.trade_conditions.tolist() == [[], ["aggregated"]]
    assert done.trade_count.tolist() == [1, 5]


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (b"{", "truncated"),
        (b"\xff\xfe", "invalid"),
        (b"[]", "Expected `object`"),
        (None, "truncated"),
        (b'{"e":"trade"}', "missing required field"),
        (binance(1, price="abc")[1], "price 'abc': not a number"),
        (binance(1, quantity="nan")[1], "quantity 'nan': not a number"),
        (binance(1, price="0")[1], "price '0': not positive"),
        (binance(1, quantity="-1")[1], "quantity '-1': not positive"),
        (binance(1, price="1" + "0" * 20)[1], "more than 20 integer digits"),
        (binance(1, quantity="0." + "0" * 18 + "1")[1], "more than 18 fraction digits"),
        (
            binance(1, price="9" * 7, quantity="9" * 7)[1],
            "quantity, or price times quantity, has more than 13 integer digits",
        ),
        (
            binance(1, price="0.001", quantity="1" + "0" * 13)[1],
            "quantity, or price times quantity, has more",
        ),
    ],
)
def test_what_cannot_be_used_is_a_dead_letter(value, cause):
    done = run(BINANCE, [binance(1), ("BTCUSDT", value), binance(2)], first_offset=100)
    (letter,) = done.dead_letters
    assert cause in letter.cause
    assert letter.original_bytes == (value or b"")
    assert (letter.topic, letter.partition, letter.offset) == (topics.raw("binance"), 1, 101)
    assert (letter.exchange, letter.stage, letter.time) == ("binance", "normalize", NOW + 7)
    assert trades.decode(done.values).raw_offset.tolist() == [100, 102]


def test_the_largest_notional_passes():
    done = run(
        BINANCE, [binance(1, price="999999999", quantity="10000"), binance(2, quantity="9" * 13, price="1")]
    )
    assert not done.dead_letters and len(done.values) == 2


def test_a_huge_record_is_cut_in_its_dead_letter():
    (letter,) = run(BINANCE, [("BTCUSDT", b"x" * (MAX_ORIGINAL + 1))]).dead_letters
    assert len(letter.original_bytes) == MAX_ORIGINAL and f"of {MAX_ORIGINAL + 1} bytes" in letter.cause


def test_a_time_ahead_is_accepted_with_a_validation_error():
    done = trades.decode(
        run(
            BINANCE,
            [binance(1), binance(2, time=NOW // 1000 + 300_000), binance(3, time=NOW // 1000 + 300_001)],
        ).values
    )
    assert done.validation_errors.tolist() == [[], [], [AHEAD]]


def test_duplicates_and_gaps_are_events():
    done = run(BINANCE, [binance(1), binance(2), binance(2), binance(6)])
    assert trades.decode(done.values).trade_id.tolist() == ["1", "2", "6"]
    assert done.counted(EventKind.DUPLICATE) == 1 and done.counted(EventKind.GAP) == 3


def test_a_replay_is_silent_and_changes_nothing():
    records = [binance(1), ("BTCUSDT", b"{"), binance(2, price="x"), binance(1, symbol="ETHUSDT"), binance(3)]
    first = run(BINANCE, records, first_offset=50)
    again = run(BINANCE, records, first.positions, first_offset=50)
    assert again.replayed == len(records)
    assert not (again.values or again.dead_letters or again.events or again.positions)
    both = run(BINANCE, [*records, binance(4)], first.positions, first_offset=50)
    assert both.replayed == len(records)
    assert trades.decode(both.values).trade_id.tolist() == ["4"]


def test_a_position_survives_its_changelog():
    for done in (run(BINANCE, [binance(1), binance(9)]), run(KRAKEN, [kraken()] * 2)):
        for position in done.positions.values():
            assert msgspec.json.decode(msgspec.json.encode(position), type=SymbolPosition) == position


numbers_of_id = st.integers(1, 9)
some_record = st.one_of(
    st.builds(
        binance, numbers_of_id, st.sampled_from(["1", "2.50", "0", "x", "1e-8", "123456789.123456789"])
    ),
    st.builds(binance, numbers_of_id, symbol=st.just("ETHUSDT"), time=st.sampled_from([5, NOW // 1000])),
    st.builds(lambda first: aggregated(first, first, first + 2), numbers_of_id),
    st.sampled_from([("BTCUSDT", b"{"), ("ETHUSDT", None), ("BTCUSDT", b"7")]),
)
some_kraken = st.one_of(
    st.builds(
        kraken, st.sampled_from(["1", "1.0", "bad"]), time=st.sampled_from(["1700000000.1", "1700000009"])
    ),
    st.just(("XBT/USD", b"")),
)


@settings(deadline=None)
@pytest.mark.parametrize(("exchange", "strategy"), [(BINANCE, some_record), (KRAKEN, some_kraken)])
@given(data=st.data())
def test_batching_changes_nothing(exchange, strategy, data):
    records = data.draw(st.lists(strategy, min_size=1, max_size=14))
    cuts = data.draw(st.lists(st.integers(0, len(records)), max_size=4))
    whole = run(exchange, records)
    positions, values, letters, missing = {}, [], [], 0
    bounds = sorted({0, len(records), *cuts})
    for start, end in pairwise(bounds):
        # Each batch begins with what the one before ended with, as after a crash.
        from_offset = max(0, start - 2)
        part = run(exchange, records[from_offset:end], positions, from_offset)
        positions |= part.positions
        values += part.values
        letters += part.dead_letters
        missing += part.counted(EventKind.GAP)
    assert values == whole.values
    assert letters == whole.dead_letters
    assert positions == whole.positions
    assert missing == whole.counted(EventKind.GAP)


def test_a_usable_trade_is_wanted_after_an_unusable_one_of_its_id():
    """It came, so it is no gap; nobody holds it, so what is fetched for it is no duplicate."""
    first = run(BINANCE, [binance(1), binance(2, price="x"), binance(3)])
    assert first.counted(EventKind.GAP) == 0 and len(first.values) == 2
    again = run(BINANCE, [backfilled(binance(2)), binance(2), binance(4)], first.positions, first_offset=3)
    assert trades.decode(again.values).trade_id.tolist() == ["2", "4"]
    assert again.counted(EventKind.DUPLICATE) == 1 and again.counted(EventKind.GAP) == 0


@pytest.mark.parametrize("size", [399_700, 400_100, 899_950, 1_040_000])
@pytest.mark.parametrize("exchange", ["kraken", "coinbase"])
def test_a_record_of_any_size_gives_records_that_can_be_written(exchange, size):
    """One near 1 MB made a canonical record above the producer's limit, and ended the normaliser."""
    if exchange == "kraken":
        fields = {"pair": "XBT/USD", "price": "1", "volume": "1", "time": "1700000000.1", "side": "b"}
        large = record("XBT/USD", fields | {"orderType": "l", "misc": "m" * (size - 200)})
    else:
        fields = {"product_id": "BTC-USD", "price": "1", "size": "1", "side": "BUY", "type": "update"}
        long = {"trade_id": "7" * (size - 200), "time": "2023-11-14T22:13:20.5Z"}
        large = record("BTC-USD", fields | long)
    key = fields.get("pair") or fields["product_id"]
    good = kraken() if exchange == "kraken" else coinbase(5)
    done = run(exchanges.get(exchange), [(key, large), good])
    assert len(done.values) + len(done.dead_letters) == 2
    written = [*map(deadletter.encode, done.dead_letters), *done.values]
    assert all(len(value) + 100 <= topics.MAX_BYTES for value in written)
    if len(large) > topics.MAX_RAW_BYTES:
        assert done.dead_letters[0].cause.startswith("record larger than 400000 bytes")


def test_an_unreadable_record_with_an_endless_key_gives_a_short_position():
    done = run(BINANCE, [("k" * 1_000_000, b"x")])
    assert [len(symbol) for symbol in done.positions] == [256]
