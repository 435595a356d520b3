"""Certificates against their own definition: any batching, disorder, lateness, replay and crash."""

from decimal import Decimal
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from k2stream.candles.codec import dumps_progress, loads_progress
from k2stream.certificates import digest, ranges
from k2stream.certificates.partition import CertifiedPartition
from k2stream.model.certificate import FeedSpan, RevisionCause, decode, encode
from k2stream.model.decimals import plain
from tests.property.test_candles import KEYS, chunks, cuts, expected, huge, streams
from tests.unit.candles import reference
from tests.unit.candles.stores import GRACE, RAW_PARTITION, ProgressStore, Store, columns


class Blocks(Store):
    def __init__(self, durable=None):
        super().__init__(bytes, bytes, durable)

    def get(self, key, open_time):
        return self.memory.get((key, open_time))

    def put(self, key, open_time, block):
        self.memory[key, open_time] = block
        self.dirty.add((key, open_time))

    def delete(self, key, open_time):
        self.memory.pop((key, open_time), None)
        self.dirty.add((key, open_time))

    def blocks(self):
        return list(self.memory)


class Certifier:
    """A partition with its stores, as tests/unit/candles/stores.py has one of candles."""

    def __init__(self, durable=({}, {})):
        self.blocks = Blocks(dict(durable[0]))
        self.progress = ProgressStore(dumps_progress, loads_progress, dict(durable[1]))
        self.partition = CertifiedPartition(self.blocks, self.progress, GRACE)

    def apply(self, trades):
        conditions = [["backfilled"] if trade.backfilled else [] for trade in trades]
        counted = {trade.key: trade.key.startswith("binance") for trade in trades}
        self.partition.apply(columns(trades), conditions, counted)

    def flush(self, survives=lambda: True, progress_survives=True):
        self.partition.expire()
        entries = self.blocks.take()
        kept = {key: value for key, value in entries.items() if survives()}
        self.blocks.write(kept)
        if kept == entries and progress_survives:
            self.progress.write(self.progress.take())

    def durable(self):
        return self.blocks.durable, self.progress.durable

    def certify(self, candle, lost=lambda *_: (), time=7):
        counted = candle.exchange == "binance"
        return self.partition.certify(candle, time, lost, "raw", counted=counted)


def line(trade):
    """Written out from docs/certificates.md."""
    side = "BUY" if trade.taker_buy else "SELL"
    place = f"{RAW_PARTITION},{trade.raw_offset},{trade.sequence},{trade.timestamp}"
    return f"{place},{plain(trade.price)},{plain(trade.quantity)},{side},{trade.trade_count}\n".encode()


def told(trades, timeframe):
    """The digest of a window's trades, in raw order."""
    minutes = {}
    for trade in trades:
        opened = trade.timestamp // 60_000_000 * 60_000
        records, before = minutes.get(opened, (0, bytes(32)))
        minutes[opened] = records + 1, sha256(before + line(trade)).digest()
    if timeframe == "1m":
        return next(iter(minutes.values()))[1].hex()
    text = "".join(f"{at},{records},{found.hex()}\n" for at, (records, found) in sorted(minutes.items()))
    return sha256(text.encode()).hexdigest()


def check(certifier, trades):
    """Each candle that is final, as the reference has it, has the certificate that its trades give."""
    windows, _, _ = reference.run(trades, GRACE)
    for window, candle in expected(trades)[0].items():
        if not candle.final:
            continue
        mine = windows[window]
        made = certifier.certify(candle)
        assert decode(encode(made)) == made
        assert (made.sha256, made.reason) == (told(mine, window[0]), "")
        assert (made.records, made.revision) == (len(mine), candle.revision)
        for stretch, fetched in ((made.live, False), (made.fetched, True)):
            offsets = [trade.raw_offset for trade in mine if trade.backfilled is fetched]
            assert (stretch is None) == (not offsets)
            if offsets:
                assert (stretch.first, stretch.last, stretch.records) == (
                    offsets[0],
                    offsets[-1],
                    len(offsets),
                )
        ids = [trade.sequence for trade in mine if trade.sequence]
        assert (made.first_id, made.last_id) == (min(ids, default=None), max(ids, default=None))
        why = RevisionCause.BACKFILL if made.fetched else RevisionCause.TRADE
        assert [(item.revision, item.time, item.cause) for item in made.revisions] == [
            (candle.revision, 7, why)
        ]


@given(streams(backfilled=True) | streams(amounts=huge), cuts, st.data())
def test_any_batching_and_any_replay_gives_the_digest_of_the_trades(trades, at, data):
    certifier = Certifier()
    for chunk in chunks(at, trades):
        certifier.apply(chunk)
        again = data.draw(st.integers(0, len(chunk)))
        if again < len(chunk):
            certifier.apply(chunk[again:])
    check(certifier, trades)


@settings(max_examples=2 * settings().max_examples)
@given(streams(backfilled=True), st.integers(1, 8), st.data())
def test_a_crash_between_any_changelog_entries_changes_no_digest(trades, size, data):
    """kill -9: any subset of the last flush's entries survives, then a replay from the last commit."""
    certifier, position, committed, crashes = Certifier(), 0, 0, 0
    while position < len(trades):
        certifier.apply(trades[position : position + size])
        position += size
        event = data.draw(st.sampled_from(("nothing", "commit", "uncommitted", "crash")))
        if event == "crash" and crashes < 4:
            crashes += 1
            certifier.flush(lambda: data.draw(st.booleans()), data.draw(st.booleans()))
            certifier, position = Certifier(certifier.durable()), committed
        elif event == "uncommitted":
            certifier.flush()
        elif event == "commit":
            certifier.flush()
            committed = position
    check(certifier, trades)


@given(streams(keys=KEYS[:1], backfilled=True), st.data())
def test_a_lost_trade_is_never_certified(trades, data):
    """A certifier that lacks a trade of a candle gives no digest of it, and says so."""
    gone = data.draw(st.integers(0, len(trades) - 1))
    certifier = Certifier()
    for trade in trades[:gone] + trades[gone + 1 :]:
        certifier.apply([trade])
    windows, _, _ = reference.run(trades, GRACE)
    for window, candle in expected(trades)[0].items():
        if candle.final and trades[gone] in windows[window]:
            made = certifier.certify(candle)
            # Other trades may have become timely without it: then the candle has another revision anyway.
            assert made is None or (made.sha256 == "" and made.reason)
            assert made is None or made.revisions[-1].cause is RevisionCause.UNKNOWN


numbers = st.lists(st.integers(1, 60), max_size=60)


@given(numbers, numbers)
def test_ranges_are_sets_of_ids(first, second):
    lists = []
    for found in (first, second):
        ids = []
        for number in found:
            ranges.add(ids, "agg" if number % 2 else "", number // 2)
        lists.append(ids)
        assert ids == sorted(ids)
        assert members(ids) == {("agg" if number % 2 else "", number // 2) for number in found}
    both = ranges.merged(lists)
    assert members(both) == members(lists[0]) | members(lists[1])
    assert len(both) == len(ranges.merged([both]))
    for name in ("", "agg"):
        inside = {number for numbering, number in members(both) if numbering == name}
        missing = {number for numbering, number in members(ranges.holes(both)) if numbering == name}
        assert missing == set(range(min(inside, default=0), max(inside, default=-1))) - inside


def members(found):
    return {(name, number) for name, first, last in found for number in range(first, last + 1)}


@given(st.integers(1, 10**38 - 1), st.integers(0, 18))
def test_numbers_are_plain(mantissa, scale):
    text = digest.plain(mantissa, scale)
    assert Decimal(text) == Decimal(f"{mantissa}e-{scale}")
    assert text == plain(Decimal(f"{mantissa}e-{scale}")) if scale else str(mantissa)


def test_a_filled_gap_gives_a_new_revision_with_its_cause():
    def trade(second, number, offset, fetched=False):
        time = 1_700_006_400_000_000 + round(second * 1_000_000)
        return reference.Trade(
            KEYS[0], time, number, offset, Decimal(2), Decimal(3), True, 1, time + 1000, fetched
        )

    live = [trade(1, 10, 1), trade(2, 14, 3), trade(70, 15, 5)]
    certifier = Certifier()
    certifier.apply(live)
    (candle,) = [c for c in expected(live)[0].values() if c.timeframe == "1m" and c.final]
    span = (FeedSpan(1_700_006_401_000_000, 1_700_006_402_000_000),)
    first = certifier.certify(candle, lambda *_: span, time=100)
    assert [(gap.first, gap.last) for gap in first.missing] == [(11, 13)]
    assert (first.feed, first.filled, first.missing_before) == (span, (), ())
    assert certifier.certify(candle, lambda *_: span, time=100) == first  # a replay of the candle's record

    filled = [*live, trade(1.2, 11, 7, True), trade(1.3, 12, 9, True)]
    certifier.apply(filled)
    assert certifier.certify(candle, lambda *_: span, time=100) is None  # a later revision follows
    (candle,) = [c for c in expected(filled)[0].values() if c.timeframe == "1m" and c.final]
    second = certifier.certify(candle, lambda *_: span, time=200)
    assert [(gap.first, gap.last) for gap in second.missing] == [(13, 13)]
    assert [(gap.first, gap.last) for gap in second.filled] == [(11, 12)]
    assert [(r.revision, r.time, r.cause, r.raw_offset) for r in second.revisions] == [
        (3, 100, RevisionCause.TRADE, 3),
        (5, 200, RevisionCause.GAP_FILLED, 9),
    ]
    assert second.sha256 == told([t for t in filled if t.raw_offset != 5], "1m")
