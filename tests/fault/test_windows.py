"""Windows under lateness, restarts, replays, silence and wrong clocks: F12 to F15, F20."""

import asyncio
import os
import signal
import time
from collections import Counter, defaultdict
from random import Random

import httpx
import pytest

from k2stream import instruments, topics
from k2stream.candles.codec import dumps_state
from k2stream.candles.state import to_candle
from k2stream.reconcile.oracle.raw_log import read_to_end
from k2stream.replay import run
from k2stream.replay.tiers import Tiers
from k2stream.simulator.faults import FaultKind
from tests.fault import report
from tests.fault.platforms import FOUR, exact, published, quiet, recovered, running, until
from tests.fault.test_exchanges import happened, inject

pytestmark = pytest.mark.fault

MINUTE = 60.0
GRACE, IDLE = 5.0, 5.0  # the defaults


async def next_minute(platform, after=0.0):
    """Wait until the clock is `after` seconds into a new minute; the workers are kept alive."""
    await quiet(platform, MINUTE - (time.time() - after) % MINUTE)


async def test_f12_late_trades_inside_the_grace_revise_and_outside_change_no_final(tmp_path):
    """F12: each late trade is counted and kept aside; what is late by less revises an open candle.

    Short form: tests/unit/candles/test_windows.py::test_a_trade_within_the_grace_revises_and_one_past_it_is_…
    """
    async with running(tmp_path, rate=200) as platform:
        for seconds in (2.0, 150.0) * 8:
            for name in topics.EXCHANGES:
                await inject(platform, name, FaultKind.LATE, count=5, seconds=seconds)
            await quiet(platform, 4)
        held = await exact(platform)
        log = [entry for entry in await happened(platform) if entry["fault"] == "late"]
        late = held["late trades"]
        assert late > 0 and await _records(platform, topics.LATE) == late
        revised = _revised_finals(await published(platform))
        assert not revised, f"{len(revised)} final candles were revised by late trades"
    report.record("F12", {"orders with a wrong time": len(log)}, {"kept aside as late": late, **held})


async def test_f13_every_open_window_of_four_partitions_finalises_once(tmp_path):
    """F13: the same minutes in four partitions; restarts with windows open; each ends with one final.

    Short form: tests/integration/test_candles.py::test_candles_are_exact_after_kills_with_open_windows.
    """
    random, kills = Random("F13"), 0
    async with running(tmp_path, rate=400, **FOUR) as platform:
        begun = time.time()
        for _ in range(4):
            await next_minute(platform, after=random.uniform(-4, 8))
            os.kill(platform.workers["candles"].pid, random.choice((signal.SIGKILL, signal.SIGTERM)))
            kills += 1
            await quiet(platform, 3)
        await recovered(platform)
        await next_minute(platform)
        ended = time.time() // MINUTE * MINUTE
        await quiet(platform, GRACE + IDLE + 2)
        held = await exact(platform)
        final = defaultdict(set)
        for (timeframe, key, open_time, revision), candle in (await published(platform)).items():
            if timeframe == "1m" and candle.final:
                final[key, open_time].add(revision)
        assert all(len(revisions) == 1 for revisions in final.values()), "a window was finalised twice"
        symbols = len(list(instruments.load(platform.settings.feeds.instruments_file)))
        minutes = range(int(begun // MINUTE + 1) * 60_000, int(ended) * 1000, 60_000)
        missing = [minute for minute in minutes if sum(at == minute for _, at in final) != symbols]
        assert len(minutes) >= 3
        assert not missing, f"minutes without a final candle of each of {symbols} symbols: {missing}"
    report.record("F13", {"kills and stops of candles": kills}, {"finals, each once": len(final), **held})


async def test_f14_a_replay_at_any_speed_gives_the_finals_of_the_live_run(tmp_path):
    """F14: minutes lived through at 1 ×, replayed as fast as it goes, in batches of any size.

    Short form: tests/property/test_candles.py::test_any_batching_gives_the_reference.
    """
    async with running(tmp_path, rate=300) as platform:
        began = time.monotonic()
        await next_minute(platform, after=10)
        os.kill(platform.workers["candles"].pid, signal.SIGKILL)
        await next_minute(platform, after=GRACE + IDLE)
        lived = time.monotonic() - began
        held = await exact(platform)
        live = {name[:3]: candle for name, candle in (await published(platform)).items() if candle.final}
        speeds, replays = {}, []
        for size in (7, 10_000):
            began = time.monotonic()
            replays.append(await _replayed(platform.settings, size))
            speeds[f"times as fast in batches of {size}"] = round(lived / (time.monotonic() - began))
        small, large = replays
        assert {name: dumps_state(state) for name, state in small.items()} == {
            name: dumps_state(state) for name, state in large.items()
        }
        native = {
            item.key: item.symbol for item in instruments.load(platform.settings.feeds.instruments_file)
        }
        compared = 0
        for (timeframe, key, open_time), state in large.items():
            symbol = native[key]
            name = (timeframe, f"{key.partition(':')[0]}:{symbol}", open_time)
            if state.final:
                assert live[name] == to_candle(state, key, symbol, timeframe, open_time)
                compared += 1
        assert compared >= len(native)
    report.record("F14", {"kills of candles": 1, **speeds}, {"finals, byte for byte": compared, **held})


async def _replayed(settings, batch_records):
    """The states of all windows, by (timeframe, key, open time), of a replay in batches of some size."""
    tiers = Tiers.from_settings(settings)
    try:
        outcome = await run.rebuild(settings, tiers, "auto", print, batch_records=batch_records)
    finally:
        tiers.hot.close()
    return {
        (timeframe, key, open_time): state
        for timeframe, windows in outcome.rebuild.windows.items()
        for (key, open_time), state in windows.contents.items()
    }


async def test_f15_idle_symbols_close_by_the_clock_and_a_dead_feed_is_told_from_a_quiet_one(tmp_path):
    """F15: with no trade to move a watermark, windows are final within grace + 5 s (and 2 s to look).

    Short form: tests/unit/candles::test_the_clock_closes_what_is_silent_and_past_its_grace_only
    and tests/unit/web/test_render.py::test_a_candle_says_whether_its_feed_was_healthy_throughout.
    """
    async with running(tmp_path, rate=200) as platform:
        listed = list(instruments.load(platform.settings.feeds.instruments_file))
        await next_minute(platform, after=2)
        opened = int(time.time() // MINUTE * MINUTE) * 1000
        await quiet(platform, 3)  # some trades of every symbol
        await inject(platform, "kraken", FaultKind.SILENCE, seconds=20.0)

        async def told():
            candles = [await _candle(platform, item, opened) for item in listed]
            pairs = zip(listed, candles, strict=True)
            return {item.exchange for item, candle in pairs if not candle["feed_healthy"]} == {"kraken"}

        await until(told, 45, "kraken's candles, and no others, to say that their feed was down")
        await next_minute(platform, after=20)
        await platform.stop_feeds()  # heartbeats go on
        end = (time.time() // MINUTE + 1) * MINUTE
        opened = int(end - MINUTE) * 1000
        await quiet(platform, end + GRACE + 5 + 2 - time.time())
        candles = await asyncio.gather(*(_candle(platform, item, opened) for item in listed))
        assert all(candle["final"] for candle in candles), "a quiet window is still open"
        assert all(candle["feed_healthy"] for candle in candles), "a quiet feed was taken for a dead one"
        held = await exact(platform)
    injected = {"idle symbols": len(listed), "dead feeds": 1}
    report.record("F15", injected, {"closed by the clock": len(candles), **held})


async def _candle(platform, item, opened):
    """The symbol's candle that opened then."""
    url = f"{platform.urls['candles']}/ohlcv/{item.exchange}/{item.canonical.replace('/', '-')}/1m"
    async with httpx.AsyncClient(timeout=10) as client:
        answer = await client.get(url, params={"start": opened, "limit": 1})
    answer.raise_for_status()
    (candle,) = answer.json()["candles"]
    return candle


@pytest.mark.parametrize("skew", [-300, 300])
async def test_f20_clocks_that_differ_by_five_minutes_change_no_final(tmp_path, skew):
    """F20: the exchanges' clocks are ahead of ours, or behind: what is in a candle goes by trade time alone.

    Short form: tests/property/test_candles.py::test_the_clock_never_decides_the_content.
    """
    async with running(tmp_path, rate=200, ahead_seconds=skew) as platform:
        await quiet(platform, 75)
        os.kill(platform.workers["candles"].pid, signal.SIGKILL)
        await quiet(platform, 30)
        held = await exact(platform)
    report.record(f"F20 {skew:+} s", {"seconds of skew": skew, "kills of candles": 1}, held)


async def _records(platform, topic):
    return sum([len(records) async for _, records in read_to_end(platform.settings.kafka, topic)])


def _revised_finals(found):
    """Windows with a final of one revision and a later one of another content."""
    finals = Counter()
    for (timeframe, key, open_time, _), candle in found.items():
        finals[timeframe, key, open_time] += candle.final
    return [window for window, count in finals.items() if count > 1]
