"""Reads and selects dead letters. The number of a dead letter is its offset in the dead-letter topic."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from k2stream import topics
from k2stream.deadletter import DeadLetter, Identity
from k2stream.kafka.reader import OffsetRanges, Reader
from k2stream.model.errors import UNREADABLE

_decoder = msgspec.json.Decoder(DeadLetter)
_VARIABLE = re.compile(r"'[^']*'|\d+")


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """A filter for dead letters; None and "" match any."""

    exchange: str | None = None
    stage: str | None = None
    cause: str = ""
    """Text that the cause must contain."""

    numbers: Collection[int] | None = None

    def matches(self, number: int, letter: DeadLetter) -> bool:
        """Whether the filter matches a dead letter."""
        return (
            (self.numbers is None or number in self.numbers)
            and self.exchange in (None, letter.exchange)
            and self.stage in (None, letter.stage)
            and self.cause in letter.cause
        )


class NumberedLetter(NamedTuple):
    """A dead letter and its number; `letter` is None for a record that is not a dead letter."""

    number: int
    letter: DeadLetter | None


class Cause(NamedTuple):
    """A group of similar causes: variable values in the text are replaced by "…"."""

    exchange: str
    stage: str
    cause: str


async def read(reader: Reader) -> AsyncIterator[NumberedLetter]:
    """All dead letters that the topic retains now, oldest first."""
    retained = await reader.retained(topics.DLQ, 1)
    async for letter in _read(reader, retained):
        yield letter


async def one(reader: Reader, number: int) -> NumberedLetter | None:
    """The dead letter with that number; None when the topic does not retain it."""
    begin, end = (await reader.retained(topics.DLQ, 1))[0]
    if not begin <= number < end:
        return None
    return await anext(_read(reader, {0: (number, number + 1)}), None)


async def _read(reader: Reader, stretches: OffsetRanges) -> AsyncIterator[NumberedLetter]:
    async for record in reader.read(topics.DLQ, stretches):
        try:
            yield NumberedLetter(record.offset, _decoder.decode(record.value or b""))
        except UNREADABLE:
            yield NumberedLetter(record.offset, None)


def is_first(letter: DeadLetter, seen: set[Identity]) -> bool:
    """Whether it is the first for its record and reader (a crash may repeat one); adds it to `seen`."""
    if letter.identity is None:
        return True
    first = letter.identity not in seen
    seen.add(letter.identity)
    return first


def summary(letters: Iterable[DeadLetter]) -> Counter[Cause]:
    """The number of dead letters per cause; numbers and quoted values in the cause are ignored."""
    return Counter(
        Cause(letter.exchange, letter.stage, _VARIABLE.sub("…", letter.cause)) for letter in letters
    )


def origin(letter: DeadLetter) -> str:
    """Where the data of a dead letter was read, as text."""
    if letter.topic:
        return f"{letter.topic}[{letter.partition}] offset {letter.offset}"
    return f"connection {letter.connection}"


def readable(data: bytes) -> str:
    """Bytes as text if they are printable UTF-8, else as a Python literal."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return repr(data)
    return text if all(char.isprintable() or char in "\n\t" for char in text) else repr(data)
