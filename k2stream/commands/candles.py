"""`k2 candles BTC/USDT 1m`: candles from the running candles worker."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import click
import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from k2stream import instruments
from k2stream import settings as settings_module
from k2stream.candle import TIMEFRAMES
from k2stream.errors import ConfigError
from k2stream.instruments import Instrument
from k2stream.local.running import find
from k2stream.topics import EXCHANGES

_REFRESH = 0.5
_COLUMNS = ("open", "high", "low", "close", "volume", "trade_count")


@click.command()
@click.argument("symbol")
@click.argument("timeframe", type=click.Choice(list(TIMEFRAMES)))
@click.option("--exchange", help="Only this exchange; otherwise every one that trades SYMBOL.")
@click.option("--limit", default=10, show_default=True, help="How many candles, newest last.")
@click.option("--follow", "-f", is_flag=True, help="Stay and refresh.")
@click.option("--url", help="Base URL of a candles worker; otherwise that of the running platform.")
def candles(
    symbol: str, timeframe: str, exchange: str | None, limit: int, follow: bool, url: str | None
) -> None:
    """Print the candles of SYMBOL (BTC/USDT, or as an exchange spells it), decimals exact."""
    settings = settings_module.get()
    listed = instruments.load(settings.instruments_file)
    names = [exchange] if exchange else EXCHANGES
    wanted = [item for name in names if (item := listed.find(name, symbol)) is not None]
    if not wanted:
        raise ConfigError(
            f"{symbol} is not in {settings.instruments_file}" + (f" for {exchange}" if exchange else "")
        )
    running = find(settings)
    base = url or (running.urls.get("candles") if running else None)
    if base is None:
        raise ConfigError(f"nothing runs on {settings.data_path}; start it with `k2 up`, or give --url")
    console = Console()
    with httpx.Client(base_url=base, timeout=10) as client:
        if not follow:
            console.print(_table(client, wanted, timeframe, limit))
            return
        with Live(console=console, auto_refresh=False) as live:
            try:
                while True:
                    live.update(_table(client, wanted, timeframe, limit), refresh=True)
                    time.sleep(_REFRESH)
            except KeyboardInterrupt:
                pass


def _table(client: httpx.Client, wanted: list[Instrument], timeframe: str, limit: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), collapse_padding=True)
    table.add_column("exchange", no_wrap=True)
    table.add_column("open, UTC", no_wrap=True)
    for heading in _COLUMNS:
        table.add_column(heading.replace("_count", "s"), justify="right", overflow="fold")
    table.add_column("", no_wrap=True)
    for item in wanted:
        answer = _get(client, f"/ohlcv/{item.exchange}/{item.canonical.replace('/', '-')}/{timeframe}", limit)
        if answer.get("simulated"):
            table.title = f"{item.canonical} {timeframe} SIMULATED"
        for candle in answer["candles"]:
            opened = datetime.fromtimestamp(int(candle["open_time"]) // 1000, UTC)
            values = (_short(str(candle[name])) for name in _COLUMNS)
            table.add_row(
                item.exchange, f"{opened:%m-%d %H:%M}", *values, "final" if candle["final"] else "open"
            )
    return table


def _short(number: str) -> str:
    """A decimal without the zeros that say nothing."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def _get(client: httpx.Client, path: str, limit: int) -> Any:
    try:
        answer = client.get(path, params={"limit": limit})
    except httpx.TransportError as error:
        raise ConfigError(f"no answer from {client.base_url}: {error}") from None
    if answer.is_error:
        raise ConfigError(f"{client.base_url}{path}: {answer.status_code} {answer.text}")
    return answer.json()
