"""Past trades fetched by `k2 backfill`, against what the exchanges really traded."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from k2stream import instruments, topics
from k2stream.backfill import past
from k2stream.backfill.past import BackfillReport
from k2stream.backfill.resume import BackfillFile
from k2stream.backfill.span import TradeSpan
from k2stream.model import clock
from k2stream.simulator.faults import FaultKind
from tests.fault import report
from tests.fault.platforms import exact, quiet, running, stats
from tests.fault.test_exchanges import Canonical, inject

pytestmark = pytest.mark.fault

ROUNDS, DROPPED, OUTAGE_SECONDS = 6, 20, 3.0
FORGOTTEN_SECONDS = 150  # until minutes with losses have left tables that keep two


async def test_a_backfill_makes_every_layer_whole(tmp_path):
    """Nothing fills gaps; frames are dropped and connections cut; then each symbol's whole past is fetched.

    One run is broken off and taken up again, one is done twice. Short form:
    tests/integration/test_platform.py::test_a_backfill_brings_what_was_before_the_feed.
    """
    injected, results, steps = Counter(), Counter(), []
    quietly = BackfillReport(steps.append, lambda done, told: None)
    began = clock.now_us() - 60_000_000
    limits: dict[str, Any] = {"reconnect_base_seconds": 0.5, "candle_retention": 2}
    async with running(tmp_path, rate=100, gap_fill=False, **limits) as platform:
        for _ in range(ROUNDS):
            for name in topics.EXCHANGES:
                await inject(platform, name, FaultKind.DROP, count=DROPPED)
                await inject(platform, name, FaultKind.REFUSE, seconds=OUTAGE_SECONDS)
                await inject(platform, name, FaultKind.ABORT)
                injected += Counter({"dropped frames": DROPPED, "outages": 1})
            await quiet(platform, 8)
        await quiet(platform, FORGOTTEN_SECONDS)
        await platform.stop_feeds()
        span = TradeSpan(began, clock.now_us())
        listed = list(instruments.load(platform.settings.feeds.instruments_file))
        await broken_off(platform.settings, listed[0], span)
        for item in (*listed, listed[-1]):
            done = await past.run(platform.settings, item, span, quietly)
            results += Counter(
                {
                    "trades returned": done.fetched,
                    "trades published": done.published,
                    "recomputed": done.candles,
                }
            )
            assert done.candles
        made = {name: held["generated_trades"] for name, held in (await stats(platform)).items()}
        assert await Canonical(platform.settings.kafka).counted() == made
        assert any("interrupted" in step for step in steps)
        assert not list((platform.settings.local.data_path / "backfill").iterdir())
        checked = await exact(platform)
    report.record("backfill", injected, {"trades made": sum(made.values()), **results, **checked})


async def broken_off(settings, item, span):
    """Cancelled once it has fetched."""
    fetched = asyncio.Event()
    running = asyncio.create_task(
        past.run(settings, item, span, BackfillReport(lambda step: None, lambda done, told: fetched.set()))
    )
    await fetched.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert BackfillFile(settings.local.data_path, item, span).read().fetched
