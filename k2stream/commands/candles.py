"""`k2 candles BTC/USDT 1m`: prints candles of any age."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import click
import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from k2stream import instruments
from k2stream.clickhouse.candles import HotTier
from k2stream.commands import options, served
from k2stream.commands.output import Printer, printed
from k2stream.commands.views.candles import Answers, candle_table, meanings
from k2stream.history import timeframes
from k2stream.history.derive import base_span, derived, largest_limit
from k2stream.history.reader import MissingTier, candle_history
from k2stream.history.timeframes import Timeframe, UnknownTimeframe
from k2stream.iceberg.candles import ColdTier
from k2stream.model import clock
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instrument
from k2stream.platform.running import find, not_started
from k2stream.settings import Settings, current
from k2stream.topics import EXCHANGES
from k2stream.web import render
from k2stream.web.query import LARGEST_LIMIT, Query, RequestError, parse, url_name

Ask = Callable[[Instrument], dict[str, Any]]
"""Returns the candles of an instrument in the format of the REST API."""

_REFRESH = 0.5
_TABLES = "candle tables"


@click.command()
@click.argument("symbol")
@click.argument("timeframe")
@click.option(
    "--tz", "zone", default="UTC", show_default=True, help="Time zone of the windows, e.g. Asia/Tokyo."
)
@click.option(
    "--exchange",
    type=click.Choice(EXCHANGES),
    help="Only this exchange; otherwise every one that trades SYMBOL.",
)
@click.option("--limit", default=10, show_default=True, help="How many candles, newest last.")
@click.option("--start", help="From this open time on (ISO 8601, UTC, or ms): the first candles.")
@click.option("--end", help="Before this open time.")
@click.option("--follow", "-f", is_flag=True, help="Stay and refresh.")
@click.option(
    "--url",
    type=options.BaseUrl(),
    help="Base URL of a candles worker; otherwise that of the running platform.",
)
@printed
def candles(
    symbol: str,
    timeframe: str,
    zone: str,
    exchange: str | None,
    limit: int,
    start: str | None,
    end: str | None,
    follow: bool,
    url: str | None,
    *,
    out: Printer,
) -> None:
    """Print the candles of SYMBOL (BTC/USDT, or as an exchange spells it), decimals exact.

    TIMEFRAME is any number of minutes, hours, days, weeks or months: 1m, 4h, 1d, 1w, 1M.
    New ones come from the tables of the candles worker, older ones from ClickHouse, the oldest, where --start
    or --end asks for them, from Iceberg; without a worker, from the latter two.
    """
    settings = current()
    listed = instruments.load(settings.feeds.instruments_file)
    names = [exchange] if exchange else EXCHANGES
    wanted = [item for name in names if (item := listed.find(name, symbol)) is not None]
    if not wanted:
        where = f"{exchange} has no" if exchange else "no exchange has a"
        symbols = ", ".join(listed.nearest(names, symbol))
        raise ConfigError(f"{where} symbol {symbol!r} here: there are {symbols}")
    times = {name: given for name, given in (("start", start), ("end", end)) if given is not None}
    try:
        parsed = timeframes.timeframe(timeframe, zone)
        query = parse({"limit": str(limit), **times}, min(LARGEST_LIMIT, largest_limit(parsed)))
    except UnknownTimeframe as error:
        raise click.UsageError(str(error)) from None
    except RequestError as error:
        raise ConfigError(f"--{error}") from None
    with _source(settings, url, parsed, query) as ask:
        if not follow:
            answers = _answers(ask, wanted)
            out.show(_value(answers), lambda console: _table(answers, parsed, console))
            return
        with suppress(KeyboardInterrupt):
            _follow(lambda: _answers(ask, wanted), parsed, out)


def _follow(read: Callable[[], Answers], timeframe: Timeframe, out: Printer) -> None:
    """Refresh until interrupted; as JSON, a line per answer that differs from the one before."""
    console, last = Console(), None
    with nullcontext() if out.as_json else Live(console=console, auto_refresh=False) as live:
        while True:
            answers = read()
            if live is not None:
                live.update(_table(answers, timeframe, console), refresh=True)
            elif (value := _value(answers)) != last:
                out.line(value, "")
                last = value
            time.sleep(_REFRESH)


@contextmanager
def _source(settings: Settings, url: str | None, timeframe: Timeframe, query: Query) -> Iterator[Ask]:
    """Read from the candles worker, which also reads colder tiers; without one, only from those tiers."""
    running = find(settings)
    base = url or (running.urls.get("candles") if running else None)
    if base is None:
        logging.getLogger("k2stream").addHandler(logging.NullHandler())  # the answer lists unavailable tiers
        missing = MissingTier(_TABLES, f"nothing runs on {settings.local.data_path}")
        reached = running.settings if running else settings
        history = candle_history(reached.candles, HotTier(reached.clickhouse), ColdTier(reached.iceberg))

        def colder(item: Instrument) -> dict[str, Any]:
            found = history.read(item, timeframe.base, base_span(timeframe, query.span))
            tiers = (missing, *(_reason(tier, reached) for tier in found.missing))
            now = clock.now_us() // 1000
            candles = derived(timeframe, query.span, found.candles, now, reached.candles.settled_ms)
            answer = render.body(item, timeframe, candles, settings.feeds.simulated, tiers)
            return dict(json.loads(answer))

        yield colder
        return
    worker = (running.settings if running else settings).worker
    with httpx.Client(base_url=base, timeout=served.ANSWER_SECONDS, **worker.web_connection) as client:
        times = {"start": query.start, "end": query.end}
        parameters: dict[str, int | str] = {"limit": query.limit, "tz": timeframe.zone.key}
        parameters |= {name: ms for name, ms in times.items() if ms is not None}
        yield lambda item: served.get(
            client, f"/ohlcv/{item.exchange}/{url_name(item)}/{timeframe.name}", parameters
        )


def _reason(tier: MissingTier, settings: Settings) -> MissingTier:
    """Why a tier cannot be read: an address that nobody chose says nothing."""
    store = settings.clickhouse
    unused = tier.tier == HotTier.name and not_started(settings, f"{store.host}:{store.port}")
    return tier._replace(reason="not started") if unused else tier


def _answers(ask: Ask, wanted: list[Instrument]) -> Answers:
    """What is known of each instrument. Raises ConfigError if no tier that has candles can be read."""
    answers = [(item, ask(item)) for item in wanted]
    missing = _missing(answers)
    if _TABLES in missing and not any(answer["candles"] for _, answer in answers):
        raise ConfigError(f"no candles without {_sentence(missing)}; start a platform with `k2 up`")
    return answers


def _value(answers: Answers) -> dict[str, Any]:
    simulated = any(answer.get("simulated") for _, answer in answers)
    return {"simulated": simulated, "symbols": [answer for _, answer in answers]}


def _table(answers: Answers, timeframe: Timeframe, console: Console) -> Table:
    now = clock.now_us() // 1000
    shown = candle_table(answers, timeframe, console, now)
    below = meanings(answers, now)
    if missing := _missing(answers):
        below.append("without " + _sentence(missing))
    shown.caption, shown.caption_justify = "\n".join(below) or None, "left"
    return shown


def _missing(answers: Answers) -> dict[str, MissingTier]:
    return {tier["tier"]: MissingTier(**tier) for _, answer in answers for tier in answer.get("missing", ())}


def _sentence(missing: Mapping[str, MissingTier]) -> str:
    return ", ".join(f"{tier.tier} ({tier.reason})" for tier in missing.values())
