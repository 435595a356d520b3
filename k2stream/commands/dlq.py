"""`k2 dlq …`: lists, shows and replays dead letters."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

import click
import msgspec
from rich.table import Table

from k2stream import topics
from k2stream.commands.exit_codes import FAILED
from k2stream.commands.output import Printer, printed
from k2stream.commands.suggested import Suggesting
from k2stream.deadletter import DeadLetter, Identity
from k2stream.dlq import dead_letters
from k2stream.dlq.claims import Id, Origins, Replay, by_place
from k2stream.dlq.dead_letters import Cause, LetterFilter
from k2stream.dlq.replay import before, replay, replays
from k2stream.kafka.reader import Reader
from k2stream.model import clock
from k2stream.model.errors import ConfigError
from k2stream.platform.running import reached
from k2stream.settings import KafkaSettings, Settings, current

_STAGES = ("ingest", "normalize", "candles", "hot", "cold")


@click.group(cls=Suggesting)
def dlq() -> None:
    """Look at dead letters, and put their originals back.

    The number of a dead letter is its offset on the dead-letter topic.
    """


@dlq.command("list")
@click.option("--exchange", type=click.Choice(topics.EXCHANGES), help="Only of this exchange.")
@click.option("--stage", type=click.Choice(_STAGES), help="Only of this stage.")
@click.option("--cause", default="", metavar="TEXT", help="Only with TEXT in the cause.")
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many to list, newest last.",
)
@click.option("--summary", is_flag=True, help="Count dead letters per cause instead.")
@printed
def list_letters(
    exchange: str | None, stage: str | None, cause: str, limit: int, summary: bool, *, out: Printer
) -> None:
    """List dead letters, newest last."""
    letter_filter = LetterFilter(exchange, stage, cause)
    asyncio.run(_list(reached(current()).kafka, letter_filter, limit, out, summary=summary))


async def _list(
    settings: KafkaSettings, letter_filter: LetterFilter, limit: int, out: Printer, *, summary: bool
) -> None:
    newest: deque[tuple[int, DeadLetter]] = deque(maxlen=limit)
    causes: Counter[Cause] = Counter()
    count = 0
    seen: set[Identity] = set()
    async with Reader(settings) as reader:
        async for number, letter in dead_letters.read(reader):
            if letter is None:
                out.note(f"{topics.DLQ} offset {number} is no dead letter", "")
            elif letter_filter.matches(number, letter) and dead_letters.is_first(letter, seen):
                count += 1
                if summary:
                    causes.update(dead_letters.summary([letter]))
                newest.append((number, msgspec.structs.replace(letter, original="")))
        known = await replays(reader)
    if summary:
        grouped = [{"letters": number, **cause._asdict()} for cause, number in causes.most_common()]
        out.show({"count": count, "causes": grouped}, _causes_shown(causes))
    else:
        origins = by_place(known)
        listed = [_value(number, letter, known, origins) for number, letter in newest]
        out.show({"count": count, "letters": listed}, _letters_shown(newest, known))
    shown = "" if summary or count == len(newest) else f", the newest {len(newest)} shown"
    out.say(f"{count:,} dead letters{shown}")


def _value(number: int, letter: DeadLetter, known: Mapping[Id, Replay], origins: Origins) -> dict[str, Any]:
    """A dead letter as JSON, with its number and whether it was replayed."""
    fields: dict[str, Any] = msgspec.structs.asdict(letter)
    return {"number": number, **fields, "replay": _replayed(number, letter, known, origins) or None}


def _causes_shown(causes: Counter[Cause]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("letters", justify="right")
    for heading in ("exchange", "stage", "cause"):
        table.add_column(heading, overflow="fold")
    for cause, count in causes.most_common():
        table.add_row(f"{count:,}", *cause)
    return table


def _letters_shown(letters: deque[tuple[int, DeadLetter]], known: Mapping[Id, Replay]) -> Table:
    table = Table(box=None, pad_edge=False)
    origins = by_place(known)
    table.add_column("number", justify="right", no_wrap=True)
    table.add_column("time, UTC", no_wrap=True)
    for heading in ("exchange", "stage", "from", "cause", "replay"):
        table.add_column(heading, overflow="fold")
    for number, letter in letters:
        table.add_row(
            str(number),
            clock.format_utc(letter.time // 1000),
            letter.exchange,
            letter.stage,
            f"[{letter.partition}] {letter.offset}".replace("[", r"\[")
            if letter.topic
            else letter.connection,
            letter.cause.replace("[", r"\["),
            _replayed(number, letter, known, origins),
        )
    return table


def _replayed(number: int, letter: DeadLetter, known: Mapping[Id, Replay], origins: Origins) -> str:
    """Whether a dead letter was replayed, and whether it results from the replay of an earlier one."""
    source = origins.get((letter.topic, letter.partition, letter.offset))
    own = known.get(Id(number, letter.time))
    said = [] if source is None else [f"rejected again, replayed as {source}"]
    return "; ".join([*said, *([before(own)] if own and own.settled else [])])


@dlq.command()
@click.argument("number", type=click.IntRange(min=0))
@click.option("--original", is_flag=True, help="Write only the original, byte for byte.")
@printed
def show(number: int, original: bool, *, out: Printer) -> None:
    """Show one dead letter: its cause, where it comes from, and the original."""
    if original and out.as_json:
        raise click.UsageError("choose one of --original and --json, which has the original in base64")
    asyncio.run(_show(reached(current()).kafka, number, out, original=original))


async def _show(settings: KafkaSettings, number: int, out: Printer, *, original: bool) -> None:
    async with Reader(settings) as reader:
        found = await dead_letters.one(reader, number)
        known = await replays(reader)
    if found is None or found.letter is None:
        raise ConfigError(
            f"{topics.DLQ} has no dead letter {number}: expired or never there, see `k2 dlq list`"
        )
    letter = found.letter
    if original:
        click.echo(letter.original_bytes, nl=False)
        return
    origins = by_place(known)
    lines = [
        f"number    {number}",
        f"cause     {letter.cause}",
        f"exchange  {letter.exchange}, stage {letter.stage}",
        f"from      {dead_letters.origin(letter)}",
        f"time      {clock.format_utc(letter.time // 1000)} UTC",
    ]
    if said := _replayed(number, letter, known, origins):
        lines.append(f"replay    {said}")
    lines.append(f"original  {len(letter.original_bytes)} bytes{'' if letter.complete else ', cut'}")
    lines.append(dead_letters.readable(letter.original_bytes))
    out.line(_value(number, letter, known, origins), "\n".join(lines))


@dlq.command("replay")
@click.option(
    "--offset",
    "numbers",
    type=click.IntRange(min=0),
    multiple=True,
    help="The dead letter with this number; may be repeated.",
)
@click.option("--cause", default="", metavar="TEXT", help="All dead letters with TEXT in the cause.")
@click.option("--all", "everything", is_flag=True, help="All dead letters.")
@click.option("--exchange", type=click.Choice(topics.EXCHANGES), help="Of these, only of this exchange.")
@printed
def replay_letters(
    numbers: tuple[int, ...], cause: str, everything: bool, exchange: str | None, *, out: Printer
) -> None:
    """Put the originals of dead letters back into the pipeline, each at most once.

    A raw record goes to the end of its raw topic, under its key; a frame is parsed again; what a sink could
    not read goes into the table that lacks it, and nowhere else. Dead letters of candles are refused. Exits 1
    when a dead letter named by --offset did not go back.
    """
    if bool(numbers) + bool(cause) + everything != 1:
        raise click.UsageError("choose dead letters by one of --offset, --cause and --all")
    letter_filter = LetterFilter(exchange, None, cause, frozenset(numbers) if numbers else None)
    refused = asyncio.run(_replay(reached(current()), letter_filter, out))
    if numbers and refused:
        raise SystemExit(FAILED)


async def _replay(settings: Settings, letter_filter: LetterFilter, out: Printer) -> int:
    """Replay the chosen dead letters; returns how many did not go back."""
    async with Reader(settings.kafka) as reader:
        seen: set[Identity] = set()
        chosen = [
            (number, letter)
            async for number, letter in dead_letters.read(reader)
            if letter is not None
            and dead_letters.is_first(letter, seen)
            and letter_filter.matches(number, letter)
        ]
    missing = set(letter_filter.numbers or ()) - {number for number, _ in chosen}
    for number in sorted(missing):
        reason = f"refused: {topics.DLQ} has no such dead letter, or an earlier one of its record"
        out.line({"number": number, "records": 0, "outcome": reason}, f"{number}: {reason}")
    back = trades = 0
    async for outcome in replay(settings, chosen):
        value = {"number": outcome.number, "records": outcome.trades, "outcome": outcome.text}
        out.line(value, f"{outcome.number}: {outcome.text}")
        back += outcome.trades > 0
        trades += outcome.trades
    refused = len(chosen) + len(missing) - back
    out.say(f"{back:,} dead letters replayed as {trades:,} raw records, {refused:,} refused")
    return refused
