"""Reading and choosing dead letters; a letter's number is its offset on the dead-letter topic."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from k2stream import topics
from k2stream.deadletter import DeadLetter, Identity
from k2stream.kafka.reader import Reader, Stretches

_decoder = msgspec.json.Decoder(DeadLetter)
_VARIABLE = re.compile(r"'[^']*'|\d+")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters are meant; None and "" mean any."""

    exchange: str | None = None
    stage: str | None = None
    cause: str = ""
    """Text that the cause contains."""

    numbers: Collection[int] | None = None

    def takes(self, number: int, letter: DeadLetter) -> bool:
        """Whether a letter is meant."""
        return (
            (self.numbers is None or number in self.numbers)
            and self.exchange in (None, letter.exchange)
            and self.stage in (None, letter.stage)
            and self.cause in letter.cause
        )


class Numbered(NamedTuple):
    """A dead letter and its number; None for a record that is none."""

    number: int
    letter: DeadLetter | None


class Cause(NamedTuple):
    """What letters of a like cause have in common: the values in it are left out."""

    exchange: str
    stage: str
    cause: str


async def read(reader: Reader) -> AsyncIterator[Numbered]:
    """All dead letters that the topic holds now, oldest first."""
    held = await reader.held(topics.DLQ, 1)
    async for letter in _read(reader, held):
        yield letter


async def one(reader: Reader, number: int) -> Numbered | None:
    """The letter of that number, None when the topic does not hold it."""
    begin, end = (await reader.held(topics.DLQ, 1))[0]
    if not begin <= number < end:
        return None
    return await anext(_read(reader, {0: (number, number + 1)}), None)


async def _read(reader: Reader, stretches: Stretches) -> AsyncIterator[Numbered]:
    async for record in reader.read(topics.DLQ, stretches):
        try:
            yield Numbered(record.offset, _decoder.decode(record.value or b""))
        except msgspec.DecodeError:
            yield Numbered(record.offset, None)


def is_first(letter: DeadLetter, seen: set[Identity]) -> bool:
    """Whether it is the first of its record and reader: a crash may bring one again. Adds it to `seen`."""
    if letter.identity is None:
        return True
    first = letter.identity not in seen
    seen.add(letter.identity)
    return first


def summary(letters: Iterable[DeadLetter]) -> Counter[Cause]:
    """How many letters each cause has; numbers and quoted values in it count as the same."""
    return Counter(
        Cause(letter.exchange, letter.stage, _VARIABLE.sub("…", letter.cause)) for letter in letters
    )


def origin(letter: DeadLetter) -> str:
    """Where a letter's data was read."""
    if letter.topic:
        return f"{letter.topic}[{letter.partition}] offset {letter.offset}"
    return f"connection {letter.connection}"


def readable(data: bytes) -> str:
    """Bytes as text where they are text, else as a Python literal."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return repr(data)
    return text if all(char.isprintable() or char in "\n\t" for char in text) else repr(data)
