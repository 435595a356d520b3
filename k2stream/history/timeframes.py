"""Derived timeframes: any number of minutes, hours, days, weeks or months, in any time zone.

In UTC, minutes and hours are aligned to 1970. In other zones they are aligned to each local midnight, and the
last window of a day ends at the next midnight: it is shorter or longer on days when clocks change. Days begin
at local midnight, weeks on Monday, months on the first; multiples of them are aligned to 1970.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from math import gcd
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from k2stream.model.candle import TIMEFRAMES
from k2stream.model.errors import BadData

MINUTE_MS, DAY_MS = 60_000, 86_400_000
FIRST_YEAR, LAST_YEAR = 2009, 2100
"""The years whose zone offsets are examined: there are no trades before, and no zone rules after."""

LARGEST = {"m": 44_640, "h": 744, "d": 366, "w": 52, "M": 12}
"""The largest number of each unit: a month of minutes or hours, a year of the others."""

USUAL = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
"""Those that are named as examples; any other number of a unit exists too."""

_NAME = re.compile(r"([1-9][0-9]{0,4})([mhdwM])")
_LONG_NAME = re.compile(r"([1-9][0-9]{0,4}) ?(m(?=in)|mo|h|d|w)[a-z]*", re.IGNORECASE)
_MONDAY = 4  # days after 1970-01-01, a Thursday
_EPOCH = date(1970, 1, 1)
_LONGEST_DAYS = {"d": 1, "w": 7, "M": 31}


class UnknownTimeframe(BadData, ValueError):
    """An unknown timeframe or time zone; the message says which are possible."""


@dataclass(frozen=True, slots=True)
class Timeframe:
    """A timeframe: `count` of a unit (m, h, d, w, M) in a time zone. Times are ms since 1970 UTC."""

    name: str
    count: int
    unit: str
    zone: ZoneInfo

    @property
    def is_stored(self) -> bool:
        """Whether its candles are stored and need no folding."""
        return self.name in TIMEFRAMES and self.zone.key == "UTC"

    @property
    def base(self) -> str:
        """The longest stored timeframe whose windows divide this one's windows evenly."""
        length = self.minutes * MINUTE_MS or DAY_MS
        length = gcd(length, _granularity(self.zone.key))
        whole = (name for name in TIMEFRAMES if length % TIMEFRAMES[name] == 0)
        return max(whole, key=TIMEFRAMES.__getitem__)

    @property
    def parts(self) -> int:
        """The most windows of `base` that one window can have."""
        hours = 0 if self.zone.key == "UTC" else 2  # a day on which clocks change has 25 hours, rarely more
        days = _LONGEST_DAYS.get(self.unit, 0) * self.count
        longest = self.minutes * MINUTE_MS or days * DAY_MS + hours * 60 * MINUTE_MS
        return -(-longest // TIMEFRAMES[self.base])

    def opening(self, ms: int) -> int:
        """The open time of the window that contains a time."""
        if self.minutes:
            length, midnight = self.minutes * MINUTE_MS, 0
            if self.zone.key != "UTC":
                midnight = self._midnight(self._local_day(ms))
            return ms - (ms - midnight) % length
        return self._midnight(self._first_day(self._local_day(ms)))

    def closing(self, open_time: int) -> int:
        """The end of the window with this open time, which is the next window's open time."""
        if not self.minutes:
            return self._midnight(self._next_day(self._local_day(open_time)))
        end = open_time + self.minutes * MINUTE_MS
        return end if self.zone.key == "UTC" else min(end, self._midnight(self._local_day(open_time) + 1))

    def opens(self, start: int, end: int) -> Iterator[int]:
        """The open times in [start, end), ascending."""
        time = self.opening(start)
        time = time if time == start else self.closing(time)
        while time < end:
            yield time
            time = self.closing(time)

    @property
    def minutes(self) -> int:
        """The length in minutes, constant except at the end of a local day; 0 for days and longer units."""
        return self.count * {"m": 1, "h": 60}.get(self.unit, 0)

    def _local_day(self, ms: int) -> int:
        return (datetime.fromtimestamp(ms // 1000, self.zone).date() - _EPOCH).days

    def _midnight(self, day: int) -> int:
        at = _EPOCH + timedelta(days=day)
        return round(datetime(at.year, at.month, at.day, tzinfo=self.zone).timestamp()) * 1000

    def _first_day(self, day: int) -> int:
        match self.unit:
            case "d":
                return day - day % self.count
            case "w":
                return day - (day - _MONDAY) % (7 * self.count)
        month = _month(day)
        return _day_of(month - month % self.count)

    def _next_day(self, first: int) -> int:
        if self.unit == "M":
            return _day_of(_month(first) + self.count)
        return first + self.count * _LONGEST_DAYS[self.unit]


def _month(day: int) -> int:
    at = _EPOCH + timedelta(days=day)
    return at.year * 12 + at.month - 1


def _day_of(month: int) -> int:
    return (date(month // 12, month % 12 + 1, 1) - _EPOCH).days


@cache
def _granularity(zone: str) -> int:
    """A length in ms, at most a day, that divides all local midnights of a zone."""
    offsets = {
        datetime(year, month, 1, tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
        for year in range(FIRST_YEAR, LAST_YEAR)
        for month in range(1, 13)
    }
    return gcd(DAY_MS, *(round(offset.total_seconds() * 1000) for offset in offsets))


def _meant(name: str) -> str:
    """A question for the timeframe whose unit is written out (5min, 4 hours, 3mo), else nothing."""
    if (found := _LONG_NAME.fullmatch(name)) is None:
        return ""
    unit = "M" if found[2].lower().startswith("mo") else found[2].lower()
    return f" (do you mean {found[1]}{unit}?)" if int(found[1]) <= LARGEST[unit] else ""


@lru_cache(4096)
def timeframe(name: str, zone: str = "UTC") -> Timeframe:
    """A timeframe by name: 3m, 4h, 1d, 1w, 1M. Raises UnknownTimeframe, which lists what is possible."""
    found = _NAME.fullmatch(name)
    if found is None or int(found[1]) > LARGEST[found[2]]:
        most = ", ".join(f"1{unit} to {most}{unit}" for unit, most in LARGEST.items())
        raise UnknownTimeframe(
            f"timeframe {name!r} is unknown{_meant(name)}: "
            f"use a number of minutes, hours, days, weeks or months ({most})"
        )
    try:
        known_zone = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownTimeframe(f"time zone {zone!r} is unknown: use UTC or a name like Asia/Tokyo") from None
    made = Timeframe(name, int(found[1]), found[2], known_zone)
    if made.minutes and known_zone.key != "UTC" and DAY_MS % (made.minutes * MINUTE_MS):
        raise UnknownTimeframe(f"timeframe {name!r} does not divide a day: it exists in UTC only")
    return made
