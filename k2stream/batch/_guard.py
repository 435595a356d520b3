"""Checks that positions still refer to the same log, at each assignment and before each commit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from aiokafka.errors import KafkaError

from k2stream import metrics
from k2stream.batch import proof
from k2stream.batch._records import TP
from k2stream.batch._stored import Stored
from k2stream.batch.proof import Judgement, LogIdentity, Shown, Verdict
from k2stream.model.errors import FILLING, StateRefused, Unavailable, mending
from k2stream.model.roles import role_of

if TYPE_CHECKING:
    from k2stream.batch._guarded import Guarded
    from k2stream.batch._table import BatchTable

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 12.0
"""How long an answer that contradicts a position is verified: a newly elected leader may be behind."""

ANSWER_SECONDS = 22.0
"""How long to wait for answers before the worker ends, to be restarted."""

LOOK_SECONDS = 6.0
"""Timeout of one query."""

PAUSE_SECONDS = 0.5


class Unanswered(Unavailable):
    """The broker does not report what it retains."""


class Guard:
    """Checks a consumer's positions against the identities that are stored with them."""

    def __init__(self, consumer: Guarded, group: str) -> None:
        self._consumer, self._role = consumer, role_of(group)
        self._identities: dict[TP, LogIdentity] = {}
        self._ids: dict[TP, tuple[str, str]] = {}  # topic id and cluster id

    async def check(self, tps: set[TP]) -> bool:
        """Check all positions after an assignment and table recovery; True if offsets were committed anew.

        A position without an identity gets one, to be checked from now on. Raises StateRefused when a
        position refers to another log, Unanswered when the broker does not answer.
        """
        if not tps:
            return False
        committed = await self._consumer._thread.committed(tps)  # noqa: SLF001
        stored = {tp: Stored.of(tp.partition, committed.get(tp), self._tables(tp)) for tp in tps}
        found = {tp: one.newest for tp, one in stored.items()}
        shown = await self._settled(
            {tp: one.asked for tp, one in stored.items()}, lambda tp, now: stored[tp].judge(now)
        )
        self._ids = {tp: (now.topic_id, now.cluster) for tp, now in shown.items()}
        for tp, now in shown.items():
            judgement = stored[tp].judge(now)
            if judgement.verdict is Verdict.REFUSE:
                raise self._refusal(tp, judgement)
            self._check_tables(tp, stored[tp])
            self._mark_expired(tp, judgement)
        self._identities = {tp: kept for tp, kept in found.items() if kept is not None}
        await self._adopt({tp: given.offset for tp, given in committed.items() if found[tp] is None}, shown)
        return await self._catch_up(stored, shown)

    async def _catch_up(self, stored: Mapping[TP, Stored], shown: Mapping[TP, Shown]) -> bool:
        """Commit where the tables begin, for partitions whose committed offset was left behind them."""
        starts = {tp: one.start(shown[tp].begin) for tp, one in stored.items()}
        moved = {tp: start for tp, start in starts.items() if start != stored[tp].offset}
        if moved:
            self._write(moved, self._identities)
            if not await self._consumer.commit_noted(moved):
                raise Unanswered(f"the offsets of {', '.join(map(_named, moved))} could not be committed")
            logger.warning(
                "reading continues where the tables begin, which was not committed: %s",
                ", ".join(f"{_named(tp)} at {start}" for tp, start in sorted(moved.items())),
            )
        return bool(moved)

    def _tables(self, tp: TP) -> list[BatchTable]:
        return self._consumer.tables_of(tp.topic)

    def _check_tables(self, tp: TP, stored: Stored) -> None:
        for table in self._tables(tp):
            number = tp.partition
            empty = not table.partition_items(number)
            judgement = stored.judge_table(table.identities.get(number), empty=empty)
            if judgement.verdict is Verdict.REFUSE:
                raise StateRefused(
                    f"table {table.name}, partition {number}, made from {_named(tp)}: {judgement.seen}; "
                    f"{mending(tp.topic, self._role)}"
                )

    async def lost(self, offsets: Mapping[TP, int]) -> dict[TP, int]:
        """Return the offsets from which to continue, for partitions whose position has expired.

        Partitions whose offset the broker has by now are omitted. Raises StateRefused (also if a table would
        lack the expired records) and Unanswered.
        """

        def judged(tp: TP, now: Shown) -> Judgement:
            return proof.judge(offsets[tp], None, now)

        shown = await self._settled(dict.fromkeys(offsets, -1), judged)
        found = {tp: judged(tp, now) for tp, now in shown.items()}
        for tp, judgement in found.items():
            if judgement.verdict is Verdict.REFUSE:
                raise self._refusal(tp, judgement)
            self._mark_expired(tp, judgement)
        return {
            tp: shown[tp].begin for tp, judgement in found.items() if judgement.verdict is Verdict.EXPIRED
        }

    async def follows(self, tp: TP, newest: proof.Proof | None) -> None:
        """After a failed fetch, check that the log still contains the newest delivered record.

        If none was delivered since the assignment, the record noted there is checked. Raises StateRefused and
        Unanswered.
        """
        kept = proof.identity(newest, 0, *self._ids.get(tp, ())) if newest else self._identities.get(tp)
        if kept is not None:
            await self._check_one(tp, kept.proof.offset + 1, kept)

    async def check_position(self, tp: TP, position: int, source: str) -> None:
        """Raise StateRefused if an externally stored position (the next offset to read) is of another log.

        `source` is the identity stored with it. Raises Unanswered without an answer.
        """
        kept = proof.read(source)
        if kept and tp in self._identities and kept.proof == self._identities[tp].proof:
            return  # checked at the assignment
        await self._check_one(tp, position, kept)

    async def _check_one(self, tp: TP, position: int, kept: LogIdentity | None) -> None:
        def judged(tp: TP, now: Shown) -> Judgement:
            return proof.judge(position, kept, now)

        shown = await self._settled({tp: kept.proof.offset if kept else position - 1}, judged)
        if (judgement := judged(tp, shown[tp])).verdict is Verdict.REFUSE:
            raise self._refusal(tp, judgement)

    def _mark_expired(self, tp: TP, judgement: Judgement) -> None:
        if judgement.verdict is Verdict.CONTINUE and judgement.seen:
            logger.warning("%s: %s", _named(tp), judgement.seen, extra=tp._asdict())
        if judgement.verdict is Verdict.EXPIRED:
            if self._tables(tp):
                raise self._refusal(tp, judgement)
            metrics.EXPIRED.labels(tp.topic).inc()
            logger.error("%s: %s; %s", _named(tp), judgement.seen, FILLING, extra=tp._asdict())

    def _refusal(self, tp: TP, judgement: Judgement) -> StateRefused:
        return StateRefused(f"{_named(tp)}: {judgement.seen}; {mending(tp.topic, self._role)}")

    async def _adopt(self, offsets: Mapping[TP, int], shown: Mapping[TP, Shown]) -> None:
        """Add identities to committed offsets of earlier releases."""
        fresh = {tp: shown[tp].record for tp, offset in offsets.items() if offset > 0}
        identities = {
            tp: proof.identity(record, 0, shown[tp].topic_id, shown[tp].cluster)
            for tp, record in fresh.items()
            if record is not None
        }
        if identities:
            taken = {tp: offsets[tp] for tp in identities}
            for tp, kept in identities.items():
                for table in self._tables(tp):
                    table.identify(tp.partition, kept)
            self._write(taken, identities)
            await self._consumer.commit_noted(taken)
            self._identities |= identities
            logger.warning(
                "positions without an identity of what they refer to are taken to be right, once: %s",
                ", ".join(f"{_named(tp)} at {offset}" for tp, offset in sorted(taken.items())),
            )

    async def still(self, tps: set[TP]) -> None:
        """Check before a commit that the log is still the one that was read.

        Raises StateRefused, Unanswered and KafkaError.
        """
        known = self._of_records(tps)
        if not known:
            return
        offsets = {tp: kept.proof.offset for tp, kept in known.items()}
        found = await self._consumer._thread.records_at(offsets)  # noqa: SLF001
        doubtful = {tp: offset for tp, offset in offsets.items() if found[tp] != known[tp].proof}
        if not doubtful:
            return

        def judged(tp: TP, now: Shown) -> Judgement:
            return proof.judge(known[tp].proof.offset + 1, known[tp], now)

        for tp, now in (await self._settled(doubtful, judged)).items():
            if (judgement := judged(tp, now)).verdict is Verdict.REFUSE:
                raise self._refusal(tp, judgement)

    def _of_records(self, tps: Iterable[TP]) -> dict[TP, LogIdentity]:
        """Return the identities that refer to a record, which the broker can be asked for."""
        known = {tp: self._identities[tp] for tp in tps if tp in self._identities}
        return {tp: kept for tp, kept in known.items() if kept.proof != proof.NOTHING}

    async def of_both(self, newest: Mapping[TP, proof.Proof]) -> set[TP]:
        """Return partitions with deliveries of two logs: the noted record is gone, the newest one exists."""
        noted = {tp: kept.proof for tp, kept in self._of_records(newest).items()}
        found = [
            await self._consumer._thread.records_at({tp: kept.offset for tp, kept in proofs.items()})  # noqa: SLF001
            for proofs in (noted, newest)
        ]
        return {tp for tp in noted if found[0][tp] != noted[tp] and found[1][tp] == newest[tp]}

    def identify(self, proofs: Mapping[TP, proof.Proof], offsets: Mapping[TP, int]) -> None:
        """Set the identities that the flush of a commit writes with tables and offsets."""
        unread = {tp: proof.NOTHING for tp in offsets if tp not in proofs and tp not in self._identities}
        proofs = unread | dict(proofs)
        generations = {tp: kept.generation for tp, kept in self._identities.items()}
        identities = {
            tp: proof.identity(found, generations.get(tp, 0), *self._ids.get(tp, ()))
            for tp, found in proofs.items()
        }
        for tp, kept in identities.items():
            for table in self._tables(tp):
                table.identify(tp.partition, kept)
        self._identities |= identities
        self._write(offsets, self._identities)

    def _write(self, offsets: Mapping[TP, int], identities: Mapping[TP, LogIdentity]) -> None:
        texts = {
            (*tp, offset): proof.write(identities[tp]) for tp, offset in offsets.items() if tp in identities
        }
        self._consumer._thread.identities = texts  # noqa: SLF001

    async def _settled(
        self, wanted: Mapping[TP, int], judged: Callable[[TP, Shown], Judgement]
    ) -> dict[TP, Shown]:
        """Query the broker until its answer agrees with the positions, or still contradicts them at the end.

        Raises Unanswered.
        """
        clock = asyncio.get_running_loop().time
        began = answered = clock()
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    shown = await self._consumer._thread.look(wanted)  # noqa: SLF001
            except (KafkaError, TimeoutError, OSError) as error:
                if clock() > began + ANSWER_SECONDS:
                    raise Unanswered(f"the broker does not report its partitions: {error!r}") from error
                answered = clock()  # the next answer may come from a new leader
            else:
                refused = any(judged(tp, now).verdict is Verdict.REFUSE for tp, now in shown.items())
                if not refused or clock() > answered + SETTLE_SECONDS:
                    return shown
                if clock() > began + ANSWER_SECONDS:
                    raise Unanswered("the broker gives no consistent answer about its partitions")
            await asyncio.sleep(PAUSE_SECONDS)


def _named(tp: TP) -> str:
    return f"{tp.topic}[{tp.partition}]"
