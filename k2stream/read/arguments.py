"""The arguments of a call: times, exchanges and symbols."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from k2stream.model import clock
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instrument, Instruments

Time = str | int | date | None
"""ISO 8601 text, ms since 1970, a datetime (of pandas, too) or a date; UTC unless it has another zone."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(time: Time, name: str) -> int | None:
    """A time in ms since 1970. Raises ConfigError that names the argument."""
    try:
        found = _milliseconds(time)
    except (AttributeError, TypeError, ValueError, OverflowError):
        found = -1
    if found is not None and not 0 <= found * 1000 < clock.TIME_LIMIT:
        raise ConfigError(
            f"{name}={time!r} must be ISO 8601 (2026-11-20T13:30), a datetime, or ms since 1970, up to 2286"
        )
    return found


def _milliseconds(time: Time) -> int | None:
    if time is None or isinstance(time, int):
        return time
    if isinstance(time, str):
        return clock.parse_time(time)
    if not isinstance(time, datetime):
        time = datetime(time.year, time.month, time.day)
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(milliseconds=1)


def span(start: Time, end: Time) -> tuple[int, int | None]:
    """Both times in ms, from 1970 on without a start. Raises ConfigError if nothing is between them."""
    first, last = milliseconds(start, "start") or 0, milliseconds(end, "end")
    if last is not None and first >= last:
        raise ConfigError(f"start={start!r} is not before end={end!r}")
    return first, last


def instrument(listed: Instruments, exchange: str, symbol: str) -> Instrument:
    """The instrument by any spelling of its symbol. Raises ConfigError that lists what there is."""
    found = listed.find(exchange, symbol)
    if found is not None:
        return found
    if symbols := listed.nearest((exchange,), symbol):
        raise ConfigError(f"{exchange} has no symbol {symbol!r} here: it has {', '.join(symbols)}")
    exchanges = dict.fromkeys(item.exchange for item in listed)
    raise ConfigError(f"there is no exchange {exchange!r} here: there are {', '.join(exchanges)}")
