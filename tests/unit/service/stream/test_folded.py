"""Candles of derived timeframes: each is the fold of its parts, whichever part changed last, and when."""

import pytest

from k2stream.history.fold import fold
from k2stream.history.reader import MissingTier
from k2stream.history.timeframes import timeframe
from k2stream.service.stream import folded
from k2stream.service.stream.channels import candle_entry
from k2stream.service.stream.entries import Place
from k2stream.service.stream.folded_windows import FoldedWindows
from k2stream.service.stream.history import PastCandles
from tests.unit.service.memory import candle
from tests.unit.service.stream.asking import MINUTE, T0, subscribe, windows

THREE = timeframe("3m")
OPENED = THREE.opening(T0) + 3 * MINUTE
CLOSED = OPENED + 3 * MINUTE


@pytest.fixture
def asked(joined, first, monkeypatch):
    """A client of candles of 3 minutes that has its history; since the window's opening, or as given."""
    monkeypatch.setattr(folded, "CLOCK_SECONDS", 0.01)

    async def subscribed(since=OPENED, **more):
        client, inbox = joined()
        client.take(subscribe(first, since=since, timeframe="3m", **more))
        await inbox.said("caught_up")
        return client, inbox

    return subscribed


def last(inbox):
    return inbox.of("candle")[-1]


async def test_each_part_changes_the_window_it_is_in(asked, revise, tables, first):
    revise(OPENED, 3, final=True)
    _, inbox = await asked()
    assert windows(inbox) == [(OPENED, 2)]
    revise(OPENED + MINUTE, 4)
    revise(OPENED + 2 * MINUTE, 1)
    revise(CLOSED, 1)
    await inbox.until(lambda _: (CLOSED, 1) in windows(inbox))
    assert (OPENED, 7) in windows(inbox)
    assert last(inbox)["timeframe"] == "3m"
    assert last(inbox)["candle"]["close_time"] == CLOSED + 3 * MINUTE - 1
    revise(OPENED, 5, final=True)  # a late trade
    await inbox.until(lambda _: (OPENED, 9) in windows(inbox))
    parts = sorted(
        candle for opened, candle in tables.windows[first.key, "1m"].items() if OPENED <= opened < CLOSED
    )
    (whole,) = fold(parts, THREE, tables.now, tables.settled)
    pushed = next(each["candle"] for each in inbox.of("candle") if each["candle"]["revision"] == 9)
    assert (pushed["trade_count"], pushed["volume"]) == (whole.trade_count, f"{whole.volume.normalize():f}")


async def test_a_window_is_final_when_its_parts_are_and_enough_time_has_passed(asked, revise, tables):
    tables.now = CLOSED + 1
    _, inbox = await asked()
    revise(OPENED, 3, final=True)
    await inbox.until(lambda _: windows(inbox) == [(OPENED, 2)])
    assert last(inbox)["candle"]["final"] is False
    tables.now = CLOSED + tables.settled
    await inbox.until(lambda _: windows(inbox)[-1] == (OPENED, 3))
    assert last(inbox)["candle"]["final"] is True


async def test_what_time_made_final_meanwhile_is_sent_once_to_who_resumes(asked, revise, tables, hub):
    tables.now = CLOSED + 1
    client, inbox = await asked()
    revise(OPENED, 3, final=True)
    await inbox.until(lambda _: windows(inbox) == [(OPENED, 2)])
    client.leave()
    hub.stop()  # another worker
    tables.now = CLOSED + tables.settled
    _, second = await asked(since=last(inbox)["resume"])
    assert windows(second) == [(OPENED, 3)]
    hub.stop()
    _, third = await asked(since=last(second)["resume"])
    revise(CLOSED, 1)
    await third.until(lambda _: windows(third))
    assert windows(third) == [(CLOSED, 1)]


@pytest.mark.parametrize(("reached", "ahead"), [(8, {OPENED: 3}), (9, {})])
async def test_a_part_after_the_place_of_the_fold_is_ahead(tables, first, reached, ahead):
    """Else a token of that place would not say that the candle has it, and it would come again."""
    part = candle(first, "1m", OPENED, revision=3)
    tables.put(part)
    held = {OPENED: candle_entry(part, 0, Place(9))}
    windows = FoldedWindows(THREE, {first.key: first}, PastCandles(tables), lambda key: held)
    parts = await windows.window(first.key, OPENED, Place(reached))
    assert parts.ahead == ahead
    parts.take(part)
    assert parts.ahead == {}


async def test_a_held_candle_that_is_ahead_of_its_place_comes_once(asked, broker, tables, hub, first):
    part = candle(first, "1m", OPENED, revision=5)
    _, inbox = await asked()
    tables.put(part)  # folded, but not published yet
    broker.publish(part._replace(revision=4))
    await inbox.until(lambda _: windows(inbox) == [(OPENED, 5)])
    _, other = await asked()
    assert windows(other) == [(OPENED, 5)]
    hub.stop()
    broker.publish(part)
    _, again = await asked(since=(await other.said("caught_up"))["resume"])
    tables.put(part._replace(revision=6))
    broker.publish(part._replace(revision=6))
    await again.until(lambda _: (OPENED, 6) in windows(again))
    assert windows(again) == [(OPENED, 6)]


async def test_parts_that_are_unavailable_end_the_stream_and_it_resumes(asked, revise, tables, hub):
    revise(OPENED, 3)
    _, inbox = await asked()
    old = OPENED - 300 * 3 * MINUTE
    revise(old + MINUTE, 2)
    tables.missing = (MissingTier("ClickHouse", "does not answer"),)
    revise(old, 1)
    end = await inbox.said("end")
    assert end["reason"] == "moving"
    tables.missing = ()
    _, again = await asked(since=end["resume"]["1"])
    assert (old, 3) in windows(again)


async def test_a_zone_has_its_own_days(joined, broker, tables, first):
    tokyo = timeframe("1d", "Asia/Tokyo")
    day = tokyo.opening(T0)
    client, inbox = joined()
    client.take(subscribe(first, since=day, timeframe="1d", tz="Asia/Tokyo"))
    await inbox.said("caught_up")
    for opened in (day, tokyo.closing(day) - 60 * MINUTE, tokyo.closing(day)):
        made = candle(first, "1h", opened, revision=2)
        tables.put(made)
        broker.publish(made)
    await inbox.until(lambda _: (tokyo.closing(day), 2) in windows(inbox))
    assert windows(inbox)[-2:] == [(day, 4), (tokyo.closing(day), 2)]
