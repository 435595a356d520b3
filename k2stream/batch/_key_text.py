"""Table keys as text for paths and answers, and their order over partitions and workers.

The *place* of a key is its JSON: of text and UTF-8 bytes the text, of a window key ``[key, start]`` (s since
1970). Places have one total order, which workers agree on without each other's keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from k2stream.batch import _windows as windows
from k2stream.model import clock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

SortKey = tuple[Any, ...]
"""What orders places: a rank of the JSON type, then the value."""


def place_of(key: Any, windowed: bool = False) -> Any:
    """Return the place of a table key."""
    if windowed:
        plain, (start, _) = key
        return [place_of(plain), float(start)]
    if isinstance(key, str):
        return key
    if isinstance(key, bytes):
        with suppress(UnicodeDecodeError):
            return key.decode()
    return msgspec.to_builtins(key, str_keys=True, enc_hook=str)


def text_of(place: Any, windowed: bool = False) -> str:
    """Return the text of a place: text is itself, anything else its JSON; of a window ``KEY@START``."""
    if windowed:
        key, start = place
        return f"{text_of(key)}@{start_text(start)}"
    return place if isinstance(place, str) else msgspec.json.encode(place).decode()


def start_text(start: float) -> str:
    """Return a window's start (s since 1970) as ISO 8601, to the ms; as ms where it is in no calendar."""
    ms = round(start * 1000)
    try:
        return (_EPOCH + timedelta(milliseconds=ms)).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return str(ms)


def order(place: Any) -> SortKey:
    """Return what sorts places: null, booleans, numbers, text, lists by their items, then objects."""
    if isinstance(place, str):
        return 3, place
    if place is None:
        return (0,)
    if isinstance(place, bool):
        return 1, place
    if isinstance(place, int | float):
        return 2, place
    if isinstance(place, list | tuple):
        return 4, tuple(map(order, place))
    return 5, tuple(sorted((name, order(value)) for name, value in place.items()))


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound of a range, given as text: keys that are text are compared with it as text, others as JSON."""

    text: SortKey
    other: SortKey
    start: SortKey | None = None
    """Of a window table: the order of the window's start, which is empty before all windows of a key."""

    @classmethod
    def read(cls, text: str, windowed: bool = False) -> Bound:
        """Read a key, of a window table with or without the start of a window."""
        if not windowed:
            return cls(order(text), order(_json(text)))
        key, start = split(text)
        return cls(order(key), order(_json(key)), () if start is None else order(start))

    def against(self, place: Any) -> SortKey:
        """Return what the order of a place is to be compared with."""
        if self.start is None:
            return self.text if isinstance(place, str) else self.other
        return 4, (self.text if isinstance(place[0], str) else self.other, self.start)

    def before(self, other: Bound) -> bool:
        """Whether the range from here to the other bound has room for any key."""
        here, there = self.start or (), other.start or ()
        return (self.text, here) < (other.text, there) or (self.other, here) < (other.other, there)


def split(text: str) -> tuple[str, float | None]:
    """Return key and window start (s since 1970) of ``KEY@START``; without a start the whole is the key."""
    key, at, start = text.rpartition("@")
    if at:
        with suppress(ValueError, OverflowError):
            return key, clock.parse_time(start) / 1000
    return text, None


def find(keys: Mapping[Any, object], text: str, loads_key: Any, size: float | None) -> list[Any]:
    """Return the key that a text names, if a partition has it; `size` is that of its windows in seconds.

    Keys whose text says too little to make them again are searched for, one by one.
    """
    found = _made(keys, text, loads_key, size)
    if found or not keys:
        return found
    windowed = size is not None
    sample = next(iter(keys))
    if _made(keys, text_of(place_of(sample, windowed), windowed), loads_key, size):
        return []
    return [key for key in keys if text_of(place_of(key, windowed), windowed) == text]


def _made(keys: Mapping[Any, object], text: str, loads_key: Any, size: float | None) -> list[Any]:
    plain, start = (text, None) if size is None else split(text)
    if size is not None and start is None:
        return []
    for key in _readings(plain, loads_key):
        if isinstance(key, bool):
            continue  # it would be found as 1 or 0
        made = key if start is None or size is None else windows.window_key(key, start, size)
        with suppress(TypeError):  # a JSON object is no key
            if made in keys:
                return [made]
    return []


def _readings(text: str, loads_key: Any) -> Iterator[Any]:
    yield text
    raw = text.encode(errors="replace")
    yield raw
    yield windows.hashable(_json(text))
    with suppress(Exception):  # a codec of the application, and bytes that need not be its own
        yield loads_key(raw)


def _json(text: str) -> Any:
    """Return the JSON that a text is, and the text where it is none."""
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return text
