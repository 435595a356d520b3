"""Query parameters of the mirrored API, refused as that API refuses them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import msgspec

from k2stream.history.timeframes import Timeframe, UnknownTimeframe, timeframe
from k2stream.model.errors import UNREADABLE
from k2stream.model.instrument import Instrument, Instruments
from k2stream.service.mirror.errors import MirrorError, illegal, invalid, mandatory, unsupported

DEFAULT_LIMIT, LARGEST_LIMIT = 500, 1000

INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
"""The API's intervals but 1s: K2's shortest candle is a minute."""

_NAME = "^[A-Z0-9-_.]{1,20}$"
_NAMES = '^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$'
_NUMBER = "^[0-9]{1,20}$"
_MS_END = 10**14  # a time from here on is in µs
_ZONE = re.compile(r"([+-]?)([0-9]{1,2})(?::([0-5][0-9]))?")
_EARLIEST, _LATEST = -12, 14


class Parameters:
    """The parameters of one request. Raises MirrorError where the API refuses them."""

    def __init__(self, sent: Iterable[tuple[str, str]], known: Collection[str]) -> None:
        pairs = list(sent)
        self._sent = dict(pairs)
        if len(self._sent) < len(pairs):
            raise MirrorError(-1101, "Duplicate values for a parameter detected.")
        for name, value in self._sent.items():
            if name in known and not value:
                raise MirrorError(-1105, f"Parameter '{name}' was empty.")
        count, read = len(self._sent), len(self._sent.keys() & set(known))
        if read < count:
            raise MirrorError(
                -1104,
                f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{count}'.",
            )

    def get(self, name: str) -> str | None:
        """The text of a parameter, None if it was not sent."""
        return self._sent.get(name)

    def number(self, name: str) -> int | None:
        """A whole number that is not negative."""
        text = self.get(name)
        if text is not None and not re.fullmatch(r"[0-9]{1,20}", text):
            raise illegal(name, _NUMBER)
        return None if text is None else int(text)

    def time(self, name: str) -> int | None:
        """A time in ms since 1970; it may be sent in µs."""
        time = self.number(name)
        return time if time is None or time < _MS_END else min(time, 10**16) // 1000

    def limit(self) -> int:
        """The parameter `limit`: at least 1; one above the largest is taken as the largest."""
        limit = self.number("limit")
        if limit == 0:
            raise invalid("limit")
        return DEFAULT_LIMIT if limit is None else min(limit, LARGEST_LIMIT)

    def timeframe(self) -> Timeframe:
        """The timeframe of `interval`, its windows in the time zone of `timeZone`."""
        interval = self.get("interval")
        if interval is None:
            raise mandatory("interval")
        if interval not in INTERVALS:
            raise MirrorError(-1120, "Invalid interval.")
        return shifted(interval, self.get("timeZone") or "0")

    def symbol(self, listed: Instruments, exchange: str) -> Instrument:
        """The instrument of `symbol`."""
        name = self.get("symbol")
        if name is None:
            raise mandatory("symbol")
        return found(listed, exchange, name)

    def symbols(self, listed: Instruments, exchange: str) -> list[Instrument] | None:
        """The instruments of `symbol` or `symbols`; None if neither was sent."""
        one, several = self.get("symbol"), self.get("symbols")
        if one is not None and several is not None:
            raise MirrorError(-1128, "Combination of optional parameters invalid.")
        if several is None:
            return None if one is None else [found(listed, exchange, one)]
        try:
            names = msgspec.json.decode(several, type=list[str])
        except UNREADABLE:
            raise illegal("symbols", _NAMES) from None
        if not names:
            raise invalid("symbols")
        if len(set(names)) < len(names):
            raise MirrorError(-1151, "Symbol is present multiple times in the list.")
        return [found(listed, exchange, name) for name in names]


def found(listed: Instruments, exchange: str, name: str) -> Instrument:
    """The instrument that the API calls by a name. Raises MirrorError."""
    if not re.fullmatch(r"[A-Z0-9\-_.]{1,20}", name):
        raise illegal("symbol", _NAME)
    instrument = listed.find(exchange, name)
    if instrument is None:
        raise MirrorError(-1121, "Invalid symbol.")
    return instrument


def shifted(interval: str, offset: str) -> Timeframe:
    """The timeframe of an interval in a zone given as hours and minutes, e.g. 0, 8, -1:00 or 05:45."""
    match = _ZONE.fullmatch(offset)
    hours = int(f"{match[1]}{match[2]}") if match else _LATEST + 1
    minutes = int(match[3] or 0) if match else 0
    if not (_EARLIEST <= hours <= _LATEST) or (hours in (_EARLIEST, _LATEST) and minutes):
        raise invalid("timeZone")
    if minutes:
        raise unsupported("timeZone takes whole hours here.")
    try:
        return timeframe(interval, f"Etc/GMT{-hours:+d}" if hours else "UTC")
    except UnknownTimeframe as error:
        raise unsupported(f"{error}.") from None
