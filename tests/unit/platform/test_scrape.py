"""What several workers' metrics say together, from one second to the next."""

import httpx
import pytest

from k2stream.kafka.lag import LagReader
from k2stream.platform import scrape
from k2stream.platform.snapshot import SnapshotTaker
from k2stream.settings import make

URLS = {"normalize": "http://127.0.0.1:1", "hot": "http://127.0.0.1:2"}
ROWS = "k2_sink_rows_total"


@pytest.fixture
def taken(monkeypatch):
    """Take a snapshot, for each given number of rows of the hot worker: None if it does not answer."""

    async def nothing(*_, **__):
        return {}

    for name in ("__aenter__", "__aexit__", "lag"):
        monkeypatch.setattr(LagReader, name, nothing)
    monkeypatch.setattr(LagReader, "__init__", lambda *_: None)

    async def take(*counted):
        answers = iter(counted)

        async def get(workers, _, path):
            if path != "/metrics":
                return {}
            rows = next(answers)
            hot = (
                rows
                if isinstance(rows, httpx.Response | None)
                else httpx.Response(200, text=f"{ROWS} {rows}")
            )
            return {"normalize": httpx.Response(200, text="k2_ready 1"), "hot": hot}

        monkeypatch.setattr(scrape, "_get", get)
        async with SnapshotTaker(make(), URLS) as taker:
            return [await taker.take() for _ in counted[1:]]

    return take


def grown(snapshot):
    return round(snapshot.rate(ROWS) * snapshot.seconds, 3)


async def test_a_rate_is_the_growth_of_a_counter(taken):
    assert list(map(grown, await taken(100, 130, 190))) == [30, 60]


async def test_what_answers_again_has_not_done_everything_since(taken):
    """A worker that had answered late once was shown with millions of rows per second."""
    silent, again, next_one = await taken(1_000_000, None, 1_000_060, 1_000_090)
    assert silent.now.silent == ("hot",)
    assert list(map(grown, (silent, again, next_one))) == [0, 0, 30]


async def test_a_refusal_is_no_answer(taken):
    """With another K2_WEB_KEY, k2 status showed zeros and that all answer."""
    (refused,) = await taken(5, httpx.Response(401, text="{}"))
    assert refused.now.silent == ("hot",)


async def scraped(monkeypatch, **texts):
    async def get(*_):
        return {name: text and httpx.Response(200, text=text) for name, text in texts.items()}

    monkeypatch.setattr(scrape, "_get", get)
    return await scrape.scrape(URLS, make().worker)


async def test_growth_since_a_sample_that_a_worker_had_missed(monkeypatch):
    before = await scraped(monkeypatch, hot=f"{ROWS} 5", cold=None)
    now = await scraped(monkeypatch, hot=f"{ROWS} 7", cold=f"{ROWS} 90")
    assert now.since(before).get(ROWS) == 2


async def test_times_of_several_workers_are_no_sum(monkeypatch):
    """With two hot workers, /v1/status said that a table was written in 2083, and never behind."""
    written, lag = "k2_sink_written_timestamp_seconds", "k2_event_lag_seconds"
    one, two = (f"{written} {time}\n{lag} 0.2\n{ROWS} 1" for time in (1_790_000_000, 1_790_000_060))
    both = await scraped(monkeypatch, one=one, two=two)
    assert both.get(written) == 1_790_000_060
    assert (both.get(lag), both.get(ROWS)) == (0.2, 2)


async def test_a_trade_that_is_dated_ahead_has_a_lag_below_zero(monkeypatch):
    lag = "k2_event_lag_seconds"
    assert (await scraped(monkeypatch, one=f"{lag} -0.2")).get(lag) == -0.2
