"""What is not as certified is named: in a copy's trades, and in the certificate."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from k2stream.model.certificate import FeedSpan, IdRange, RawRange, Revision, RevisionCause
from k2stream.model.events import EventKind, FeedEvent, encode
from k2stream.reconcile.certificates import again, check, feeds
from k2stream.reconcile.certificates.check import KnownOfCandle, Wrong
from k2stream.reconcile.certificates.stored import of_candle
from k2stream.reconcile.oracle.copies import OracleTrade
from k2stream.reconcile.oracle.raw_log import RetainedOffsets
from k2stream.settings import KafkaSettings
from tests.property.test_candles import expected
from tests.property.test_certificates import Certifier
from tests.unit.candles.reference import Trade
from tests.unit.candles.stores import RAW_PARTITION, columns

START = 1_700_006_400_000_000
KEY = "binance:BTC/USDT"
LOST = (FeedSpan(START + 2_000_000, START + 3_000_000),)
NAMES = {"here": "Iceberg bronze", "there": "raw topic"}


def trade(second, number, offset, fetched=False, price="2.50"):
    time = START + round(second * 1e6)
    return Trade(
        KEY, time, number, offset, Decimal(price), Decimal("0.3"), number % 2 == 0, 1, time + 9, fetched
    )


TRADES = [
    trade(-20, 8, 0),
    trade(1, 10, 1),
    trade(2, 11, 2, price="2.7"),
    trade(3, 15, 3, price="1"),
    trade(61, 17, 4),
    trade(70, 18, 5),
    trade(2.2, 12, 6, True),
    trade(2.4, 13, 7, True, price="3"),
    trade(140, 19, 8),
]


def told(trades):
    """As the oracle reads them."""
    return [
        OracleTrade(
            RAW_PARTITION,
            t.raw_offset,
            t.sequence,
            t.timestamp,
            int(t.price.scaleb(18)),
            int(t.quantity.scaleb(18)),
            "BUY" if t.taker_buy else "SELL",
            t.trade_count,
            t.backfilled,
        )
        for t in trades
    ]


def certified(timeframe="1m", opened=START // 1000):
    """The certificate of a candle that was final before its gap was filled, and the candle."""
    certifier = Certifier()
    made = candle = None
    for known, time in ((TRADES[:6], 10), (TRADES, 20)):
        certifier.apply([t for t in known if not certifier.partition.reached(KEY) >= t.raw_offset])
        candle = expected(known)[0].get((timeframe, KEY, opened))
        if candle.final:
            made = certifier.certify(candle, lambda *_: LOST, time=time)
    return made, candle


def mine(of, trades=None):
    return again.of_candle(told(TRADES) if trades is None else trades, of)


def found(of, trades=None, **known):
    known.setdefault("certain", LOST)
    known.setdefault("possible", LOST)
    known.setdefault("earlier", told(TRADES[:1]))
    return list(check.of_certificate(of, mine(of, trades), KnownOfCandle(**known)))


def kinds(faults):
    return {fault.kind for fault in faults}


def test_a_true_certificate_has_no_fault():
    of, candle = certified()
    assert again.digest(mine(of), "1m") == of.sha256
    assert found(of) == []
    assert list(of_candle(of, candle)) == []
    assert [(item.cause, item.time) for item in of.revisions] == [
        (RevisionCause.TRADE, 10),
        (RevisionCause.GAP_FILLED, 20),
    ]
    assert (of.missing, of.missing_before, of.filled) == (
        (IdRange(14, 14),),
        (IdRange(9, 9),),
        (IdRange(12, 13),),
    )


def test_a_longer_candle_has_the_digest_of_its_minutes():
    certifier = Certifier()
    certifier.apply([*TRADES, trade(400, 20, 9)])
    (candle,) = [
        c
        for c in expected([*TRADES, trade(400, 20, 9)])[0].values()
        if (c.timeframe, c.final) == ("5m", True)
    ][-1:]
    of = certifier.certify(candle, lambda *_: LOST)
    trades = told([*TRADES, trade(400, 20, 9)])
    assert again.digest(mine(of, trades), "5m") == of.sha256
    assert found(of, trades, earlier=[t for t in trades if t.timestamp < candle.open_time * 1000]) == []


def mixed():
    """A minute in which a stream of plain trades became one of aggregated ones: certificate and trades."""
    plain = [trade(-5, 5_000, 0), trade(1, 5_002, 1), trade(2, 5_003, 2), trade(2.5, 5_005, 3, True)]
    aggregated = [trade(-4, 98, 4), trade(30, 100, 5), trade(40, 101, 6, True), trade(50, 103, 7)]
    later = [trade(70, 104, 8)]
    certifier, every = Certifier(), [*plain, *aggregated, *later]
    conditions = [
        ["aggregated"] * (t in (*aggregated, *later)) + ["backfilled"] * t.backfilled for t in every
    ]
    certifier.partition.apply(columns(every), conditions, {KEY: True})
    of = certifier.certify(expected(every)[0]["1m", KEY, START // 1000], lambda *_: LOST)
    trades = told(every)
    return of, [t._replace(aggregated=t.trade_id < 1000) for t in trades]


def test_plain_and_aggregated_ids_are_two_numberings():
    of, trades = mixed()
    assert of.missing == (IdRange(5_004, 5_004), IdRange(102, 102))
    assert (of.missing_before, of.filled) == (
        (IdRange(5_001, 5_001), IdRange(99, 99)),
        (IdRange(5_005, 5_005), IdRange(101, 101)),
    )
    assert found(of, trades, earlier=[t for t in trades if t.timestamp < START]) == []
    hidden = msgspec.structs.replace(of, missing=of.missing[:1], missing_before=of.missing_before[:1])
    texts = [fault.text for fault in found(hidden, trades, earlier=[trades[0], trades[4]])]
    assert texts == [
        "ids missing are 5004, 102, the certificate says 5004",
        "ids missing before it are 5001, 99, the certificate says 5001",
    ]
    (fault,) = check.of_one_copy(of, mine(of, trades)[1:], "raw topic")
    assert fault.text == "raw topic has 5 of its trades, 1 fewer than certified"


TAMPERED: dict[str, Any] = {
    "digest": ({"sha256": "00" * 32}, Wrong.DIGEST, "its trades give"),
    "revision": (
        {"revision": 9, "records": 8},
        Wrong.REVISION,
        "revision is 6, the certificate says 9",
    ),
    "revision left out": ({"revisions": ()}, Wrong.REVISION, "is not the last one listed"),
    "gap": ({"missing": ()}, Wrong.GAP, "ids missing are 14, the certificate says none"),
    "gap before": ({"missing_before": ()}, Wrong.GAP, "ids missing before it are 9"),
    "filled": ({"filled": ()}, Wrong.GAP, "filled is 12 to 13, the certificate says none"),
    "feed": ({"feed": ()}, Wrong.GAP, "the feed was down or lost trades from"),
    "invented outage": (
        {"feed": (*LOST, FeedSpan(START, START + 9))},
        Wrong.FIELD,
        "no feed event says",
    ),
    "price": ({"close": "1.5"}, Wrong.FIELD, "close is 1, the certificate says 1.5"),
    "last id": ({"last_id": 16}, Wrong.FIELD, "last_id is 15"),
    "raw offsets": ({"live": RawRange(1, 4, 4)}, Wrong.FIELD, "live is"),
    "version": ({"version": 2}, Wrong.FIELD, "version 2 is not 1"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_forged_certificate_is_found_and_named(name):
    changes, kind, text = TAMPERED[name]
    of, _ = certified()
    faults = found(msgspec.structs.replace(of, **changes))
    assert kind in kinds(faults)
    assert any(text in fault.text for fault in faults), faults


@pytest.mark.parametrize(
    ("place", "item", "text"),
    [
        (1, {"cause": RevisionCause.BACKFILL}, "brought fetched trades, its cause says backfill"),
        (1, {"cause": RevisionCause.LATE}, "brought fetched trades, its cause says late"),
        (0, {"cause": RevisionCause.GAP_FILLED}, "brought live trades only, its cause says gap filled"),
        (0, {"revision": 3}, "revision 3: 3 records up to raw offset 3 are revision 4"),
        (0, {"raw_offset": 2}, "revision 4: 2 records up to raw offset 2 are revision 3"),
        (0, {"time": 21}, "revision 6 is listed after 4"),
    ],
)
def test_a_forged_revision_is_found_and_named(place, item, text):
    of, _ = certified()
    listed = list(of.revisions)
    listed[place] = msgspec.structs.replace(listed[place], **item)
    faults = found(msgspec.structs.replace(of, revisions=tuple(listed)))
    assert kinds(faults) == {Wrong.REVISION}
    assert any(text in fault.text for fault in faults), faults


def test_an_invented_revision_is_found():
    of, _ = certified()
    more = Revision(5, 15, RevisionCause.GAP_FILLED, 6)
    listed = (of.revisions[0], more, of.revisions[1])
    assert found(msgspec.structs.replace(of, revisions=listed)) == []  # it may have been so
    more = Revision(5, 15, RevisionCause.GAP_FILLED, 5)
    faults = found(msgspec.structs.replace(of, revisions=(of.revisions[0], more, of.revisions[1])))
    assert kinds(faults) == {Wrong.REVISION}


def test_a_copy_that_differs_is_named_trade_by_trade():
    of, _ = certified()
    right = mine(of)
    removed = list(check.of_copy(right[1:], right, NAMES))
    assert removed == [
        (
            Wrong.MISSING,
            "trade 10 at raw offset 3:1 is not in Iceberg bronze, it is in raw topic",
        )
    ]
    changed = [right[0], right[1]._replace(price=5 * 10**18), *right[2:]]
    assert list(check.of_copy(changed, right, NAMES)) == [
        (Wrong.CHANGED, "trade 11 at raw offset 3:2 in Iceberg bronze: price is 5, was 2.7")
    ]
    made_up = [*right, right[0]._replace(trade_id=14, raw_offset=4)]
    assert list(check.of_copy(made_up, right, NAMES)) == [
        (
            Wrong.UNCERTIFIED,
            "trade 14 at raw offset 3:4 is in Iceberg bronze, it is not in raw topic",
        )
    ]


def test_without_another_copy_ids_and_values_say_what_is_wrong():
    of, _ = certified()
    right = mine(of)

    def said(trades):
        return [fault.text for fault in check.of_one_copy(of, trades, "raw topic")]

    assert said([t for t in right if t.trade_id != 12]) == [
        "the trade with id 12 is not in raw topic",
        "raw topic has 4 of its trades, 1 fewer than certified",
    ]
    assert said([right[0], right[1]._replace(price=5 * 10**18), *right[2:]]) == [
        "a trade in raw topic: it gives another high, quote_volume"
    ]
    assert said([*right, right[0]._replace(raw_offset=5)])[-1] == (
        "raw topic has 6 of its trades, 1 more than certified"
    )
    forged = msgspec.structs.replace(of, sha256="00" * 32)
    (fault,) = check.of_one_copy(forged, right, "raw topic")
    assert fault.kind is Wrong.DIGEST and of.sha256 in fault.text


def test_feed_events_that_have_expired_accuse_nobody():
    of, _ = certified()
    assert found(msgspec.structs.replace(of, feed=()), certain=None, possible=None) != []  # its cause
    assert found(of, certain=None, possible=None) == []


def event(kind, second, **more):
    return FeedEvent(kind=kind, exchange="binance", symbol="BTCUSDT", time=START + second * 1_000_000, **more)


async def test_of_feed_events_that_have_expired_in_part_the_rest_is_compared(monkeypatch):
    """The topic keeps 30 days; of an older platform, it never begins at offset 0."""
    events = [event(EventKind.SUBSCRIBED, -400), event(EventKind.LOST_FRAMES, 3, since=LOST[0].since)]
    begin = 5

    async def retained(*_):
        return {0: RetainedOffsets(begin, begin + len(events))}

    async def read(*_):
        yield 0, [SimpleNamespace(value=encode(each)) for each in events]

    monkeypatch.setattr(feeds, "retained", retained)
    monkeypatch.setattr(feeds, "read_to_end", read)
    of, _ = certified()
    revisions = [msgspec.structs.replace(item, time=START // 1000 + 90_000) for item in of.revisions]
    of = msgspec.structs.replace(of, symbol="BTCUSDT", revisions=tuple(revisions))

    async def of_it(of):
        known = feeds.known(of, earlier, await feeds.events(KafkaSettings()))
        return [fault.text for fault in check.of_certificate(of, mine(of), known)]

    earlier = told(TRADES[:1])
    assert await of_it(of) == []
    texts = await of_it(msgspec.structs.replace(of, feed=()))
    assert any(text.startswith("the feed was down or lost trades") for text in texts)
    events[0] = event(EventKind.SUBSCRIBED, -200)  # what was before is not known
    hidden = msgspec.structs.replace(of, missing=())
    assert await of_it(hidden) == []  # its ids may have started again
    events.clear()
    assert await of_it(hidden) == []
    begin = 0
    assert "ids missing are 14, the certificate says none" in await of_it(hidden)


def test_the_stored_candle_is_compared():
    of, candle = certified()
    (fault,) = of_candle(of, candle._replace(revision=7))
    assert fault == (
        Wrong.REVISION,
        "the stored candle is revision 7, the certificate is of 6",
    )
    (fault,) = of_candle(of, candle._replace(high=Decimal(4)))
    assert fault == (Wrong.FIELD, "the stored candle has high 4, the certificate 3")
    assert list(of_candle(of, None)) == [(Wrong.CANDLE, "ClickHouse does not have the candle")]


def test_numbers_are_plain():
    numbers = (10**18, 25 * 10**17, 1, 10**20, 123 * 10**16)
    assert [again.plain(number) for number in numbers] == [
        "1",
        "2.5",
        "0.000000000000000001",
        "100",
        "1.23",
    ]
