"""What is stored of a source partition, as one value: the group's offset and the tables' identities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from k2stream.batch import proof
from k2stream.batch.proof import Judgement, LogIdentity, Shown, Verdict

if TYPE_CHECKING:
    from k2stream.batch._table import BatchTable


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

    @classmethod
    def of(cls, number: int, committed: tuple[int, str] | None, tables: Sequence[BatchTable]) -> Stored:
        """Of partition `number`: its group's committed offset and metadata, and the tables made from it."""
        offset, text = committed or (0, "")
        return cls(
            offset,
            proof.read(text),
            tuple(table.identities.get(number) for table in tables),
            max((table.reach(number) for table in tables), default=-1),
        )

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
        newest = self.newest
        if newest is None or any(not kept or kept.generation != newest.generation for kept in self.tables):
            return self.offset  # one is of a release without identities, or `judge_table` refuses it
        if self._is_overtaken(newest):
            return newest.resume
        return begin if self.offset < begin <= self._covered else self.offset

    def judge(self, shown: Shown) -> Judgement:
        """Judge whether reading may continue; `shown.record` is the one at the offset of the newest proof."""
        judged = proof.judge(self.position, self.newest, shown)
        unread = max(self.start(shown.begin), self._covered)
        if judged.verdict in (Verdict.CONTINUE, Verdict.ADOPT) and 0 < unread < shown.begin:
            return proof.expired(unread, shown.begin)
        return judged

    @property
    def _covered(self) -> int:
        """The offset before which all tables contain everything."""
        return min((kept.proof.offset + 1 if kept else 0 for kept in self.tables), default=0)

    def judge_table(self, kept: LogIdentity | None, *, empty: bool) -> Judgement:
        """Judge whether the table with this identity may be used; `empty` says whether it has no entries."""
        judged = proof.judge_table(self.identity, kept, self.offset, empty=empty)
        newest = self.newest
        if judged.verdict is Verdict.CONTINUE and kept and newest and kept.generation < newest.generation:
            return Judgement(Verdict.REFUSE, "it was being rebuilt, and that was not brought to its end")
        return judged

    def _is_overtaken(self, newest: LogIdentity) -> bool:
        generation = self.identity.generation if self.identity else -1
        return newest.resume >= 0 and generation < newest.generation
