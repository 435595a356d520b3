"""What a position refers to, and whether a broker still shows it (pure).

A position means nothing without what it counts: a topic may be made anew, or its log be cut and its offsets
used again. It therefore carries a proof that any broker can be asked for: offset, time and checksum of the
last record that was read before it. Where a broker has ids of topics they are compared too.
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
    """A record: its offset, its timestamp (ms since 1970), and a CRC-32 of key and value."""

    offset: int
    timestamp: int
    crc: int


NOTHING = Proof(-1, -1, 0)
"""No record was there before a position: only what transactions leave."""


class Note(msgspec.Struct, frozen=True, array_like=True):
    """What is kept beside a position: the last record before it; ids are empty where a broker has none.

    A position of a higher `generation` is later, whatever its offset.
    """

    version: int
    generation: int
    proof: Proof
    topic_id: str = ""
    cluster: str = ""

    @property
    def place(self) -> tuple[int, int]:
        """What orders notes."""
        return self.generation, self.proof.offset


class Shown(NamedTuple):
    """What the broker shows of a partition: its first offset, the one after its last, and one record.

    That is the one at the offset asked for, None where there is none.
    """

    begin: int
    end: int
    record: Proof | None = None
    topic_id: str = ""
    cluster: str = ""


class Verdict(Enum):
    """What to do at a position."""

    CONTINUE = "continue"
    ADOPT = "adopt"  # nothing is known of what it refers to, and nothing speaks against it
    EXPIRED = "expired"  # records before the log's beginning were never read
    REFUSE = "refuse"


class Judgement(NamedTuple):
    """A verdict and what was seen, in words."""

    verdict: Verdict
    seen: str = ""


def proof_of(offset: int, timestamp: int, key: bytes | None, value: bytes | None) -> Proof:
    """The proof of a record; an absent key or value is not an empty one."""
    crc = crc32(b"\x00" if key is None else b"\x01" + key)
    return Proof(offset, timestamp, crc32(b"\x00" if value is None else b"\x01" + value, crc))


def last_of(batch: RecordBatch) -> Proof | None:
    """The proof of a RecordBatch's last record; None when it has none."""
    if not len(batch):
        return None
    return proof_of(int(batch.offsets[-1]), int(batch.timestamps[-1]), batch.keys[-1], batch.values[-1])


def note(proof: Proof, generation: int = 0, topic_id: str = "", cluster: str = "") -> Note:
    """A note of this version."""
    return Note(_VERSION, generation, proof, topic_id, cluster)


def write(kept: Note) -> str:
    """Text of some 130 bytes, as it goes beside a committed offset."""
    return msgspec.json.encode(kept).decode()


def read(text: str | bytes | None) -> Note | None:
    """The note of a text; None for none, and for one that is not of this version."""
    if not text:
        return None
    try:
        found = msgspec.json.decode(text, type=Note)
    except msgspec.MsgspecError:
        return None
    return found if found.version == _VERSION else None


def judge(position: int, kept: Note | None, shown: Shown) -> Judgement:
    """Whether reading may go on at `position`, the next offset to read, with what was noted beside it.

    `shown.record` is the one at the proof's offset. What the broker shows must be settled: of a leader just
    elected the end may still be behind.
    """
    if shown.end < position:
        return Judgement(
            Verdict.REFUSE, f"it ends at offset {shown.end}, but everything before {position} was read"
        )
    if shown.begin > position:
        if not position and kept is None:
            seen = f"it begins at offset {shown.begin}: what was before has expired, and nobody here read it"
            return Judgement(Verdict.CONTINUE, seen)
        gone = shown.begin - position
        return Judgement(
            Verdict.EXPIRED,
            f"offsets {position} to {shown.begin - 1} ({gone} records) have expired and were never read",
        )
    if kept is None:
        return Judgement(Verdict.ADOPT if position else Verdict.CONTINUE)
    if kept.topic_id and shown.topic_id and kept.topic_id != shown.topic_id:
        where = "" if shown.cluster == kept.cluster else f", of cluster {shown.cluster}, not {kept.cluster}"
        return Judgement(
            Verdict.REFUSE,
            f"it was made anew: it is topic {shown.topic_id}{where}, what was read was {kept.topic_id}",
        )
    if kept.proof.offset < shown.begin:
        return Judgement(Verdict.CONTINUE)
    if shown.record != kept.proof:
        found = "none" if shown.record is None else f"one of {shown.record.timestamp} ms"
        return Judgement(
            Verdict.REFUSE,
            f"the record of {kept.proof.timestamp} ms that was read at offset {kept.proof.offset} is not "
            f"there ({found} is): the topic was made anew, or its log was cut and offsets were used again",
        )
    return Judgement(Verdict.CONTINUE)


def judge_table(committed: Note | None, held: Note | None, position: int, *, empty: bool) -> Judgement:
    """Whether a table may be used under a committed position: it is written before each commit.

    `held` is the note in its changelog, `empty` whether that holds no entry.
    """
    if committed is not None and (held is None or held.place < committed.place):
        upto = "nothing" if held is None else f"offset {held.proof.offset}"
        return Judgement(
            Verdict.REFUSE,
            f"it covers {upto}, but everything before {position} was committed: its changelog "
            "was lost, made anew or cut",
        )
    if committed is None and held is None and empty and position > 0:
        return Judgement(
            Verdict.REFUSE, f"it is empty, but everything before offset {position} was committed"
        )
    return Judgement(Verdict.CONTINUE)
