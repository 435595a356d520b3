"""The normaliser's and the candles' worker around the product's own functions, tables and codecs.

What Faust, aiokafka and asyncio do between them is written out here as steps, at each of which a worker may
die, freeze or be replaced: outputs that arrive one by one, changelogs by stage, commits of members only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from k2stream import topics
from k2stream.avro import registry, wire
from k2stream.batch import BatchApp, BatchTable, RecordBatch, batch_app_options, proof
from k2stream.candles import records
from k2stream.candles.partition import CandlePartition
from k2stream.candles.state import State
from k2stream.candles.windows import Window
from k2stream.exchanges import raw
from k2stream.normalizer import normalize
from k2stream.settings import make
from k2stream.tables import ohlcv, orphans, positions
from tests.property.chain.broker import Broker, Record
from tests.property.chain.feed import BINANCE, RAW, SYMBOLS

SCHEMA_ID = 1007  # no registry of the other tests gets so far
registry.learn(SCHEMA_ID, wire.declared("trade"))

GRACE, IDLE = 5_000_000, 60_000_000
CANDLES = "candles"
"""The topic of all timeframes' candles."""


class Candle(NamedTuple):
    """What a candle record says, for the reader of revisions."""

    window: Window
    state: State


class Worker:
    """Reads `source` in a group, keeps tables, sends outputs; commits behind what both of them wrote."""

    group: str
    source: str

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.app = BatchApp(f"k2-{self.group}", **batch_app_options("127.0.0.1:1"))
        self.tables = self.declared()
        self.refused = ""
        broker.join(self.group, self)
        for table in self.tables:
            self._recover(table)
        log = broker.log(self.source)
        self.at = broker.committed[self.group].get(self.source, log.begin)
        committed = broker.committed[self.group].get(self.source, 0)
        self.identity = broker.identities[self.group].get(self.source)
        for table in self.tables:
            held, empty = table.identities.get(0), not broker.log(table.changelog_topic_name).end
            self._heed(proof.judge_table(self.identity, held, committed, empty=empty))
            if held is not None:
                self._heed(proof.judge(held.proof.offset + 1, held, log.shown(held)))
        self._look()
        self.sent: list[tuple[str, Any]] = []
        self.committing: Iterator[None] = iter(())

    def _look(self) -> None:
        """At assignment, at a connection made again, before each commit: is it still what was read?"""
        log = self.broker.log(self.source)
        self._seen = log.state
        self._heed(proof.judge(self.at, self.identity, log.shown(self.identity)))

    def _heed(self, found: proof.Judgement) -> None:
        if found.verdict is proof.Verdict.REFUSE:
            self.refused = self.refused or found.seen
        elif found.verdict is proof.Verdict.CONTINUE and found.seen:
            self.broker.said.append(found.seen)
        elif found.verdict is proof.Verdict.EXPIRED:
            self.broker.said.append(found.seen)
            self.at = self.broker.log(self.source).begin

    def declared(self) -> list[BatchTable]:
        """The worker's tables."""
        raise NotImplementedError

    def apply(self, batch: RecordBatch) -> None:
        """What the worker's agent does with a delivery."""
        raise NotImplementedError

    def _recover(self, table: BatchTable) -> None:
        log = self.broker.log(table.changelog_topic_name)
        if log.end > log.begin:
            batch = log.read(log.begin, log.end)
            values = [value or None for value in batch.values]
            table.apply_changelog(0, batch.keys, values, batch.last_offset)

    def deliver(self, limit: int) -> None:
        """Fetch once."""
        log = self.broker.log(self.source)
        if log.state != self._seen or self.at < log.begin:
            self._look()
        if self.refused:
            return
        self.at = max(self.at, log.begin)  # as a client does whose position has expired
        batch = log.read(self.at, limit)
        if batch.last_offset >= batch.first_offset:
            self.at = batch.last_offset + 1
            if last := proof.last_of(batch):
                self.identity = proof.identity(last)
                self.apply(batch)

    def arrive(self, limit: int) -> None:
        """So many of the outputs that are under way arrive."""
        arriving, self.sent = self.sent[:limit], self.sent[limit:]
        for topic, record in arriving:
            self.broker.log(topic).append(record)

    def before_flush(self) -> None:
        """What the worker does right before its tables' changes are taken."""

    def commit(self) -> Iterator[None]:
        """Step by step; nothing is done before the first step."""
        if not self.broker.is_member(self.group, self):
            return
        yield
        self._look()
        if self.refused:
            return
        self.before_flush()
        reached, identity, under_way = self.at, self.identity, len(self.sent)
        for table in self.tables:
            if identity is not None:
                table.identify(0, identity)
        changes = [(table, change) for table in self.tables for change in table.take_changes()]
        for _ in range(under_way):
            if not self.sent:
                break
            self.arrive(1)
            yield
        for stage in sorted({table.flush_stage for table, _ in changes}):
            for table, change in changes:
                if table.flush_stage == stage:
                    yield from self._write(table, change)
        identities = {} if identity is None else {self.source: identity}
        self.broker.commit(self.group, self, {self.source: reached}, identities)

    def _write(self, table: BatchTable, change: Any) -> Iterator[None]:
        for key, value in zip(change.keys, change.values, strict=True):
            self.broker.log(table.changelog_topic_name).append(Record(key, value or b"", 0))
            yield

    def go_on(self, steps: int) -> None:
        """So many steps of the commit under way, then of a new one, up to its end."""
        begun = False
        for _ in range(steps):
            if next(self.committing, self) is self:
                if begun:
                    return
                self.committing, begun = self.commit(), True

    def finish(self) -> None:
        """End the commit under way, then make another."""
        for _ in self.committing:
            pass
        self.committing = iter(())
        for _ in self.commit():
            pass


class Normaliser(Worker):
    """Raw records to canonical ones."""

    group, source = "normalize", RAW

    def declared(self) -> list[BatchTable]:
        self.positions = positions.declare(self.app, "binance", 1)
        self.positions.active_partitions = frozenset({0})
        return [self.positions]

    def __init__(self, broker: Broker) -> None:
        super().__init__(broker)
        self.delivered: dict[tuple[str, int], int] = {}
        self.beyond = orphans.TradesBeyond(make().kafka, BINANCE, self.positions)
        if said := self.positions.fact(0, orphans.PUBLISHED):
            self._compare(int(said))
        elif not self.refused:
            self.positions.keep(0, orphans.PUBLISHED, str(broker.log(topics.NORMALIZED).end).encode())
            for change in self.positions.take_changes():
                for _ in self._write(self.positions, change):
                    pass

    def _compare(self, said: int) -> None:
        """What was published beyond the positions, with the raw log."""
        log, raw_log = self.broker.log(topics.NORMALIZED), self.broker.log(RAW)
        if said >= log.end:
            return
        made = orphans.beyond(log.read(said, log.end), "binance", self.positions.reach(0) + 1)
        batch = raw_log.read(raw_log.begin, raw_log.end)
        records, _ = raw.decode(BINANCE, batch.values)
        times = [record.k2_recv for record in records]
        held = {int(at): (time, 0) for at, time in zip(batch.offsets, times, strict=True)}
        self.beyond.owed[0] = max(made, default=-1)
        if orphans.lacking(made, raw_log.begin, held):
            self.refused = self.refused or "orphans"

    def arrive(self, limit: int) -> None:
        super().arrive(limit)
        self.delivered = {(topics.NORMALIZED, 0): self.broker.log(topics.NORMALIZED).end - 1}

    def before_flush(self) -> None:
        self.beyond.mark(self.delivered)

    def apply(self, batch: RecordBatch) -> None:
        known: Callable[[str], Any] = partial(self.positions.get_from, 0)
        done = normalize(BINANCE, batch, known, SYMBOLS.__getitem__, schema_id=SCHEMA_ID, process_time=1)
        for key, value in zip(done.keys, done.values, strict=True):
            self.sent.append((topics.NORMALIZED, Record(key, value, 0)))
        self.positions.put_many(0, done.positions)


class Candles(Worker):
    """Canonical records to candles; late trades are left out, as the reference does."""

    group, source = "candles", topics.NORMALIZED
    retention = 1000

    def declared(self) -> list[BatchTable]:
        self.own = ohlcv.declare(self.app, 1)
        return [*self.own.windows.values(), self.own.progress]

    def __init__(self, broker: Broker) -> None:
        super().__init__(broker)
        self.held: dict[Window, State] = {}
        self.partition = CandlePartition(
            self.own.stores(0),
            self.own.progress_store(0),
            grace=GRACE,
            idle=IDLE,
            retention=self.retention,
            least=self.own.least_retention(0, self.retention),
            now=0,
        )

    def apply(self, batch: RecordBatch) -> None:
        _, trades, letters = records.read(batch)
        assert not letters
        self.held |= self.partition.apply(trades, 0).updated

    def publish(self) -> None:
        """Send what is held of changed windows."""
        self.sent += [(CANDLES, Candle(window, state)) for window, state in self.held.items()]
        self.held = {}

    def close_silent(self, now: int) -> None:
        """Close by the clock, in µs, once all is read."""
        if self.at == self.broker.log(self.source).end:
            self.held |= self.partition.close_silent(now)

    def before_flush(self) -> None:
        self.publish()
        self.partition.expire()
