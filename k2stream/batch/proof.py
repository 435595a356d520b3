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
        return expired(position, shown.begin)
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


def expired(position: int, begin: int) -> Judgement:
    """The judgement of a log that begins after `position`, the next offset to read."""
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
