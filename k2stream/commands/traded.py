"""Where `k2 trades` reads: the service, which has a trade once it is durable in Kafka, or ClickHouse alone.

Trades are rows with times in µs since 1970; decimals are texts with all their digits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

import httpx
import msgspec
import pyarrow as pa

from k2stream.clickhouse.recent_trades import RecentTrades
from k2stream.commands import served
from k2stream.history.trades import TradePage
from k2stream.model.decimals import plain
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instrument
from k2stream.web.query import LARGEST_LIMIT, url_name

Row = dict[str, Any]

FIELDS = ("timestamp", "side", "price", "quantity", "trade_id", "trade_count", "raw_offset", "receive_time")
_TIMES = ("timestamp", "receive_time")

_AGAIN_SECONDS = 0.5
_MOST = 10_000
_NAMES = {"timestamp": "time", "trade_id": "id"}
"""Fields that `/v1/trades` calls otherwise."""

_UNASKED = {"tier": "topic", "reason": "no service was asked"}


class Traded(NamedTuple):
    """Trades, ascending by time, and the tiers that might have had more."""

    rows: list[Row]
    missing: list[dict[str, str]]


class TradesShown(Protocol):
    """A place to read the trades of an instrument from."""

    def span(self, start: int | None, end: int | None, limit: int) -> Traded:
        """The first trades of a span (ms) with a start, else the last ones. Raises ConfigError."""
        ...

    def follow(self, limit: int) -> Iterator[list[Row]]:
        """The newest trades, then what comes, without end. Raises ConfigError."""
        ...


class ServedTrades:
    """The service at the base URL of a client."""

    def __init__(self, client: httpx.Client, instrument: Instrument) -> None:
        self._client = client
        self._path = f"/v1/trades/{instrument.exchange}/{url_name(instrument)}"
        self._of = {"channel": "trades", "exchange": instrument.exchange, "symbol": url_name(instrument)}

    def span(self, start: int | None, end: int | None, limit: int) -> Traded:
        """The first trades of a span (ms) with a start, else the last ones. Raises ConfigError."""
        asked: dict[str, int | str] = {"order": "desc" if start is None else "asc"}
        asked |= {name: ms for name, ms in (("start", start), ("end", end)) if ms is not None}
        rows: list[Row] = []
        missing: dict[str, dict[str, str]] = {}
        while len(rows) < limit:
            asked["limit"] = min(limit - len(rows), LARGEST_LIMIT)
            answer = served.get(self._client, self._path, asked)
            rows += [{name: trade[_NAMES.get(name, name)] for name in FIELDS} for trade in answer["trades"]]
            missing |= {tier["tier"]: tier for tier in answer["missing"]}
            if answer["next"] is None:
                break
            asked["cursor"] = answer["next"]
        return Traded(rows[::-1] if start is None else rows, list(missing.values()))

    def follow(self, limit: int) -> Iterator[list[Row]]:
        """The newest trades, then what comes, without end. Raises ConfigError."""
        newest, resume, begun = -1, "", False
        while True:
            try:
                for message in self._messages(resume):
                    resume = message["resume"]
                    if not begun:  # the stream has begun: nothing is missed between both
                        begun, rows = True, self.span(None, None, limit).rows
                    else:
                        rows = (
                            [{name: message["trade"][name] for name in FIELDS}] if "trade" in message else []
                        )
                    rows = [row for row in rows if row["raw_offset"] > newest]
                    newest = max((row["raw_offset"] for row in rows), default=newest)
                    yield rows
            except httpx.TransportError:
                if not begun:
                    raise
            time.sleep(_AGAIN_SECONDS)

    def _messages(self, resume: str) -> Iterator[dict[str, Any]]:
        """Those of the stream that say from where it can go on, until it ends."""
        headers = {"Last-Event-ID": resume} if resume else {}
        with self._client.stream("GET", "/v1/stream", params=self._of, headers=headers) as answer:
            for line in served.checked(answer).iter_lines():
                message = (
                    msgspec.json.decode(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                )
                if message.get("op") == "error":
                    raise ConfigError(f"{answer.url} answered {message['problem']['detail']}")
                if isinstance(message.get("resume"), str):
                    yield message


class QueriedTrades:
    """ClickHouse, which has a trade a second or two after it happened."""

    def __init__(self, store: RecentTrades, instrument: Instrument) -> None:
        self._store, self._instrument = store, instrument

    def span(self, start: int | None, end: int | None, limit: int) -> Traded:
        """The first trades of a span (ms) with a start, else the last ones. Raises what the client raises."""
        first, last = (None if ms is None else ms * 1000 for ms in (start, end))
        rows = rows_of(self._store.page(self._instrument, TradePage(limit, first, last), 0))
        return Traded(rows[::-1] if start is None else rows, [_UNASKED])

    def follow(self, limit: int) -> Iterator[list[Row]]:
        """The newest trades, then those beyond their raw offset, without end."""
        rows, newest = self.span(None, None, limit).rows, -1
        while True:
            yield rows
            newest = max((row["raw_offset"] for row in rows), default=newest)
            time.sleep(_AGAIN_SECONDS)
            rows = rows_of(self._store.beyond(self._instrument, newest, _MOST))


def rows_of(found: pa.Table) -> list[Row]:
    """Trades with silver's columns as rows."""
    columns = (found[name].cast(pa.int64()) if name in _TIMES else found[name] for name in FIELDS)
    made = zip(*(column.to_pylist() for column in columns), strict=True)
    return [
        {
            name: plain(value) if isinstance(value, Decimal) else value
            for name, value in zip(FIELDS, row, strict=True)
        }
        for row in made
    ]
