"""Replays each dead letter once, even if runs are interrupted or run at the same time."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec

from k2stream import topics
from k2stream.batch import TP
from k2stream.deadletter import DeadLetter
from k2stream.dlq.claims import Id, Replay, ReplayNote, replay_states
from k2stream.dlq.plan import HEADER, LetterPlan, Refused, keyed, plan
from k2stream.dlq.refusal import check_passed
from k2stream.dlq.sinks import SINKS, put
from k2stream.kafka.creation import ensure_topics
from k2stream.kafka.groups import committed
from k2stream.kafka.producer import DurableProducer, producing
from k2stream.kafka.reader import OffsetRanges, Reader
from k2stream.model import clock
from k2stream.model.errors import UNREADABLE
from k2stream.model.roles import Role
from k2stream.settings import KafkaSettings, Settings

CHUNK = 200
"""Number of dead letters that are claimed at once."""

WRITE_SECONDS = 60.0
"""Time limit for writing a chunk; with aiokafka's 40 s for requests in flight, below a claim's lease."""

_decoder = msgspec.json.Decoder(ReplayNote)


class ReplayOutcome(NamedTuple):
    """The result for a dead letter: the trades replayed, 0 when it was refused, and one line of text."""

    number: int
    trades: int
    text: str


class Item(NamedTuple):
    """A dead letter that may be replayed."""

    id: Id
    plan: LetterPlan


async def replays(reader: Reader) -> dict[Id, Replay]:
    """The state of each dead letter in the log of replays; empty before the first replay."""
    if not await reader.exists(topics.DLQ_REPLAYS):
        return {}
    retained = await reader.retained(topics.DLQ_REPLAYS, 1)
    log: list[tuple[int, ReplayNote]] = []
    async for record in reader.read(topics.DLQ_REPLAYS, retained):
        with suppress(*UNREADABLE):  # a record of another program: all entries decode
            log.append((record.timestamp, _decoder.decode(record.value or b"")))
    return replay_states(log)


async def replay(
    settings: Settings, letters: Sequence[tuple[int, DeadLetter]]
) -> AsyncIterator[ReplayOutcome]:
    """Replay the dead letters that can be, in the given order; yields one outcome per dead letter."""
    await ensure_topics(settings.kafka, topics.declared(settings.kafka))
    async with Reader(settings.kafka) as reader:
        known = await replays(reader)
        passed = await _passed(settings.kafka, letters)
        items = []
        for number, letter in letters:
            item = Id(number, letter.time)
            try:
                if item in known and known[item].settled and letter.stage not in SINKS:
                    raise Refused(before(known[item]))
                if letter.stage == Role.NORMALIZE:
                    check_passed(letter, passed.get(TP(letter.topic, letter.partition), 0))
                items.append(
                    Item(item, await _complete(reader, settings.kafka, letter, plan(letter, settings.kafka)))
                )
            except Refused as reason:
                yield ReplayOutcome(number, 0, f"refused: {reason}")
        async with producing(settings.kafka) as producer:
            run = _Run(settings, reader, producer)
            for start in range(0, len(items), CHUNK):
                for outcome in await run.put_back(items[start : start + CHUNK]):
                    yield outcome


async def _passed(settings: KafkaSettings, letters: Sequence[tuple[int, DeadLetter]]) -> dict[TP, int]:
    """The next offset of the normalizer by topic and partition, if there is a letter of it."""
    if not any(letter.stage == Role.NORMALIZE for _, letter in letters):
        return {}
    found = await committed(settings, Role.NORMALIZE.group)
    return {tp: position.offset for tp, position in found.items()}


def before(replay: Replay) -> str:
    """When and where a dead letter was replayed, as text."""
    places = ", ".join(f"{replay.topic}[{partition}] offset {offset}" for partition, offset in replay.written)
    return f"replayed at {clock.format_utc(replay.since)}, to {places}"


async def _complete(
    reader: Reader, settings: KafkaSettings, letter: DeadLetter, found: LetterPlan
) -> LetterPlan:
    """The plan with the raw record's key, if the value does not contain it. Raises Refused."""
    if all(row.key for row in found.rows):
        return found
    retained = await reader.retained(found.topic, settings.raw_partitions(letter.exchange))
    begin, end = retained.get(letter.partition, (0, 0))
    if not begin <= letter.offset < end:
        raise Refused(
            f"{letter.exchange} still cannot read it, and its raw record, with its key, has expired"
        )
    at = {letter.partition: (letter.offset, letter.offset + 1)}
    record = await anext(reader.read(found.topic, at), None)
    (row,) = found.rows
    if record is None or record.value != row.value:
        raise Refused(f"{found.topic}[{letter.partition}] holds another record at offset {letter.offset}")
    return found._replace(rows=(keyed(row, record.key or b"", settings.raw_partitions(letter.exchange)),))


class _Run:
    """One run of the command; its claims carry its name."""

    def __init__(self, settings: Settings, reader: Reader, producer: DurableProducer) -> None:
        self._settings, self._reader, self._producer = settings, reader, producer
        self._name = uuid.uuid4().hex

    async def put_back(self, items: Sequence[Item]) -> list[ReplayOutcome]:
        """Claim dead letters, write the records of those that this run owns, and log it."""
        await self._claim(items)
        late = f"refused: not finished within {WRITE_SECONDS:g} s; try again in two minutes"
        outcomes = {item.id.number: ReplayOutcome(item.id.number, 0, late) for item in items}
        try:
            async with asyncio.timeout(WRITE_SECONDS) as limit:
                await self._write_all(items, outcomes)
        except TimeoutError:
            if not limit.expired():
                raise
        return list(outcomes.values())

    async def _write_all(self, items: Sequence[Item], outcomes: dict[int, ReplayOutcome]) -> None:
        """Write what this run owns; each outcome by number, as soon as it is known."""
        log = await replays(self._reader)
        mine = [item for item in items if log[item.id].run == self._name]
        for item in items:
            if item not in mine:
                text = "refused: another run is replaying it; try again in two minutes"
                outcomes[item.id.number] = ReplayOutcome(item.id.number, 0, text)
        earlier = await self._earlier([(item, log[item.id]) for item in mine if log[item.id].again])
        for item in mine:
            if item.id in earlier.lost:
                text = "refused: whether an interrupted run replayed it can no longer be determined"
                outcomes[item.id.number] = ReplayOutcome(item.id.number, 0, text)
            else:
                outcomes[item.id.number] = await self._write(item, earlier)

    async def _claim(self, items: Sequence[Item]) -> None:
        ends: dict[str, OffsetRanges] = {}
        for exchange in topics.EXCHANGES:
            if any(item.plan.topic == topics.raw(exchange) for item in items):
                count = self._settings.kafka.raw_partitions(exchange)
                ends[topics.raw(exchange)] = await self._reader.retained(topics.raw(exchange), count)
        for item in items:
            raw = ends.get(item.plan.topic)  # None for a sink's dead letter
            after = {row.partition: raw[row.partition][1] for row in item.plan.rows} if raw else {}
            await self._append(ReplayNote(item.id, self._name, item.plan.topic, after))
        await self._producer.flush()

    async def _write(self, item: Item, earlier: _Earlier) -> ReplayOutcome:
        """Write the records that no earlier run has written."""
        if item.plan.letter is not None:
            return await self._put(item, item.plan.letter)
        sent, places = [], {}
        for index, row in enumerate(item.plan.rows):
            mark = _mark(item.id, index)
            if (place := earlier.found.get((item.plan.topic, mark))) is not None:
                places[index] = place
                continue
            future = await self._producer.send(
                item.plan.topic, row.value, row.key, partition=row.partition, headers=[(HEADER, mark)]
            )
            sent.append((index, future))
        for index, future in sent:
            metadata = await future
            places[index] = (metadata.partition, metadata.offset)
        written = [places[index] for index in sorted(places)]
        await (await self._append(ReplayNote(item.id, self._name, item.plan.topic, written=written)))
        where = ", ".join(f"[{partition}] offset {offset}" for partition, offset in written)
        text = f"replayed: {item.plan.topic}{where}"
        if len(sent) < len(written):
            text += f" ({len(written) - len(sent)} of them by an interrupted run)"
        if item.plan.rejects:
            text += f"; {len(item.plan.rejects)} of its trades are still rejected: {item.plan.rejects[0]}"
        return ReplayOutcome(item.id.number, len(written), text)

    async def _put(self, item: Item, letter: DeadLetter) -> ReplayOutcome:
        """Write the row of a sink's dead letter, unless the table has it."""
        try:
            rows = await asyncio.to_thread(put, self._settings, letter)
        except Refused as reason:
            return ReplayOutcome(item.id.number, 0, f"refused: {reason}")
        written = [(letter.partition, letter.offset)]
        await (await self._append(ReplayNote(item.id, self._name, item.plan.topic, written=written)))
        already = "" if rows else ", which had it already"
        return ReplayOutcome(item.id.number, 1, f"replayed: into {letter.reader}{already}")

    async def _append(self, entry: ReplayNote) -> Awaitable[object]:
        key, value = str(entry.letter.number).encode(), msgspec.json.encode(entry)
        return await self._producer.send(topics.DLQ_REPLAYS, value, key, partition=0)

    async def _earlier(self, again: Sequence[tuple[Item, Replay]]) -> _Earlier:
        """What interrupted runs had written of these dead letters."""
        earlier = _Earlier({}, set())
        raws = set(map(topics.raw, topics.EXCHANGES))
        for topic in {replay.topic for _, replay in again} & raws:
            exchange = topics.exchange_of(topic)
            retained = await self._reader.retained(topic, self._settings.kafka.raw_partitions(exchange))
            after: dict[int, int] = {}
            for item, replay in again:
                if replay.topic == topic:
                    if any(retained[partition][0] > offset for partition, offset in replay.after.items()):
                        earlier.lost.add(item.id)
                    for partition, offset in replay.after.items():
                        after[partition] = min(offset, after.get(partition, offset))
            stretches = {p: (max(offset, retained[p][0]), retained[p][1]) for p, offset in after.items()}
            async for record in self._reader.read(topic, stretches):
                for name, value in record.headers:
                    if name == HEADER:
                        earlier.found[topic, value] = (record.partition, record.offset)
        return earlier


class _Earlier(NamedTuple):
    """Places found by (topic, mark), and dead letters whose earlier writes can no longer be determined."""

    found: dict[tuple[str, bytes], tuple[int, int]]
    lost: set[Id]


def _mark(letter: Id, index: int) -> bytes:
    return b"%d:%d" % (letter.number, index)
