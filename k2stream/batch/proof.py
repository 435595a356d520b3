"""Proofs of the log that a position refers to, and their comparison with the broker's log (pure).

A position alone is ambiguous: a topic may be recreated, or its log truncated and its offsets reused. A
position is therefore stored with a proof that any broker can confirm: offset, time and checksum of the last
record read before it. If the broker has topic ids, they are compared too.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import msgspec

if TYPE_CHECKING:
    from k2stream.batch._records import RecordBatch

_VERSION = 1


class Proof(NamedTuple):
    """Identifies a record by its offset, its timestamp (ms since 1970), and a CRC-32 of key and value."""

    offset: int
    timestamp: int
    crc: int


NOTHING = Proof(-1, -1, 0)
"""The proof of a position with no record before it, only transaction markers."""


class LogIdentity(msgspec.Struct, frozen=True, array_like=True):
    """Stored with a position: the last record before it; ids are empty if the broker has none.

    A position of a higher `generation` is later, whatever its offset. A mend sets `resume`, the next offset
    to read, which the group's committed offset may lag behind; -1 in what workers write.
    """

    version: int
    generation: int
    proof: Proof
    topic_id: str = ""
    cluster: str = ""
    resume: int = -1

    @property
    def place(self) -> tuple[int, int]:
        """Return the sort key of identities."""
        return self.generation, self.proof.offset


class Shown(NamedTuple):
    """What the broker reports of a partition: its first offset, the offset after its last, and one record.

    `record` is the one at the requested offset, None if there is none. Ids are empty if unknown.
    """

    begin: int
    end: int
    record: Proof | None = None
    topic_id: str = ""
    cluster: str = ""


class Verdict(Enum):
    """What to do at a position."""

    CONTINUE = "continue"
    ADOPT = "adopt"  # there is no identity, and nothing contradicts the position
    EXPIRED = "expired"  # records expired before they were read
    REFUSE = "refuse"


class Judgement(NamedTuple):
    """A verdict and its reason in words."""

    verdict: Verdict
    seen: str = ""


def proof_of(offset: int, timestamp: int, key: bytes | None, value: bytes | None) -> Proof:
    """Return the proof of a record; a missing key or value differs from an empty one."""
    crc = crc32(b"\x00" if key is None else b"\x01" + key)
    return Proof(offset, timestamp, crc32(b"\x00" if value is None else b"\x01" + value, crc))


def last_of(batch: RecordBatch) -> Proof | None:
    """Return the proof of a RecordBatch's last record; None if it has no records."""
    if not len(batch):
        return None
    return proof_of(int(batch.offsets[-1]), int(batch.timestamps[-1]), batch.keys[-1], batch.values[-1])


def identity(proof: Proof, generation: int = 0, topic_id: str = "", cluster: str = "") -> LogIdentity:
    """Create an identity of the current version."""
    return LogIdentity(_VERSION, generation, proof, topic_id, cluster)


def write(kept: LogIdentity) -> str:
    """Encode an identity as the metadata of a committed offset, about 130 bytes."""
    return msgspec.json.encode(kept).decode()


def read(text: str | bytes | None) -> LogIdentity | None:
    """Decode an identity; None if there is none, or it has another version."""
    if not text:
        return None
    try:
        found = msgspec.json.decode(text, type=LogIdentity)
    except msgspec.MsgspecError:
        return None
    return found if found.version == _VERSION else None


def judge(position: int, kept: LogIdentity | None, shown: Shown) -> Judgement:
    """Judge whether reading may continue at `position`, the next offset to read, given its identity.

    `shown.record` is the record at the proof's offset. A newly elected leader may report an end offset that
    is still too low, so the caller must have waited for a stable answer.
    """
    if shown.end < position:
        return Judgement(
            Verdict.REFUSE, f"it ends at offset {shown.end}, but everything before {position} was read"
        )
    if shown.begin > position:
        if not position and kept is None:
            seen = f"it begins at offset {shown.begin}: what was before has expired, and nobody here read it"
            return Judgement(Verdict.CONTINUE, seen)
        return _expired(position, shown.begin)
    if kept is None:
        return Judgement(Verdict.ADOPT if position else Verdict.CONTINUE)
    if kept.topic_id and shown.topic_id and kept.topic_id != shown.topic_id:
        where = "" if shown.cluster == kept.cluster else f", of cluster {shown.cluster}, not {kept.cluster}"
        return Judgement(
            Verdict.REFUSE,
            f"it was recreated: it is topic {shown.topic_id}{where}, what was read was {kept.topic_id}",
        )
    if kept.proof.offset < shown.begin:
        return Judgement(Verdict.CONTINUE)
    if shown.record != kept.proof:
        found = "none" if shown.record is None else f"one of {shown.record.timestamp} ms"
        return Judgement(
            Verdict.REFUSE,
            f"the record of {kept.proof.timestamp} ms that was read at offset {kept.proof.offset} is not "
            f"there ({found} is): the topic was recreated, or its log was cut and offsets were used again",
        )
    return Judgement(Verdict.CONTINUE)


def _expired(position: int, begin: int) -> Judgement:
    gone = f"offsets {position} to {begin - 1} ({begin - position} records)"
    return Judgement(Verdict.EXPIRED, f"{gone} have expired and were never read")


def judge_table(
    committed: LogIdentity | None, stored: LogIdentity | None, position: int, *, empty: bool
) -> Judgement:
    """Judge whether a table may be used with a committed position; tables are written before each commit.

    `stored` is the identity in the table's changelog, `empty` says whether the table has no entries.
    """
    if committed is not None and (stored is None or stored.place < committed.place):
        upto = "nothing" if stored is None else f"offset {stored.proof.offset}"
        return Judgement(
            Verdict.REFUSE,
            f"it covers {upto}, but everything before {position} was committed: its changelog "
            "was lost, recreated or cut",
        )
    if committed is None and stored is None and empty and position > 0:
        return Judgement(
            Verdict.REFUSE, f"it is empty, but everything before offset {position} was committed"
        )
    return Judgement(Verdict.CONTINUE)


class Stored(NamedTuple):
    """The committed `offset` of a partition (0 for none) with its `identity`, and the identity of each table.

    A worker, and a mend, writes the tables' changelogs before it commits the group's offset: one that ends
    between the two leaves them at different places.

    `reached` is the highest source offset that a table's values contain, -1 for none.
    """

    offset: int
    identity: LogIdentity | None
    tables: tuple[LogIdentity | None, ...] = ()
    reached: int = -1

    @property
    def newest(self) -> LogIdentity | None:
        """The latest identity."""
        known = [kept for kept in (self.identity, *self.tables) if kept is not None]
        return max(known, key=lambda kept: kept.place, default=None)

    @property
    def position(self) -> int:
        """The offset before which everything was read."""
        newest = self.newest
        proven = newest.proof.offset if newest else -1
        offset = newest.resume if newest and self._is_overtaken(newest) else self.offset
        return max(self.reached + 1, proven + 1, offset)

    @property
    def asked(self) -> int:
        """The offset of the record that shows whether the log is the one that was read."""
        return self.newest.proof.offset if self.newest else self.position - 1

    def start(self, begin: int) -> int:
        """The offset at which reading continues in a log that begins at `begin`.

        It is the committed one, unless a mend ended before it had committed where its tables begin, or the
        records from the committed offset on have expired and all tables contain them.
        """
        newest, tables = self.newest, [kept for kept in self.tables if kept is not None]
        if newest is None or not tables or len(tables) < len(self.tables):
            return self.offset
        if any(kept.generation != newest.generation for kept in tables):
            return self.offset  # `judge_table` refuses one of them
        if self._is_overtaken(newest):
            return newest.resume
        return begin if self.offset < begin <= self._covered else self.offset

    def judge(self, shown: Shown) -> Judgement:
        """Judge whether reading may continue; `shown.record` is the one at the offset of the newest proof."""
        judged = judge(self.position, self.newest, shown)
        unread = max(self.start(shown.begin), self._covered)
        if judged.verdict in (Verdict.CONTINUE, Verdict.ADOPT) and 0 < unread < shown.begin:
            return _expired(unread, shown.begin)
        return judged

    @property
    def _covered(self) -> int:
        """The offset before which all tables contain everything."""
        return min((kept.proof.offset + 1 if kept else 0 for kept in self.tables), default=0)

    def judge_table(self, kept: LogIdentity | None, *, empty: bool) -> Judgement:
        """Judge whether the table with this identity may be used; `empty` says whether it has no entries."""
        judged = judge_table(self.identity, kept, self.offset, empty=empty)
        newest = self.newest
        if judged.verdict is Verdict.CONTINUE and kept and newest and kept.generation < newest.generation:
            return Judgement(Verdict.REFUSE, "it was being rebuilt, and that was not brought to its end")
        return judged

    def _is_overtaken(self, newest: LogIdentity) -> bool:
        generation = self.identity.generation if self.identity else -1
        return newest.resume >= 0 and generation < newest.generation
