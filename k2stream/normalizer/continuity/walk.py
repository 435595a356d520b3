"""Walks the trades of one symbol and numbering in order: which are new, and which events they cause."""

from __future__ import annotations

import msgspec

from k2stream.model.events import EventKind, FeedEvent
from k2stream.model.trade import TradeColumns
from k2stream.normalizer.continuity import content, recent
from k2stream.normalizer.continuity.epochs import epoch_after
from k2stream.normalizer.continuity.expected import expected
from k2stream.normalizer.continuity.groups import Group
from k2stream.normalizer.continuity.recent import Recent
from k2stream.normalizer.continuity.state import Ids
from k2stream.normalizer.continuity.unseen_ids import beside, count, fill, fill_all, give_up, holds
from k2stream.normalizer.continuity.walk_result import WalkResult

OVERLAP_US = 60_000_000
"""A trade with a seen id and forgotten content is new only if newer than all others by more than this, µs."""

_MS = 1000  # µs: times are compared to the ms


class Walk:
    """Walks a group from index `start` until its epoch ends; modifies `ids`, `plain` and `found`.

    `plain` are the plain ids of the symbol, of which aggregated trades cover some; `ids` of plain trades.
    """

    def __init__(
        self,
        columns: TradeColumns,
        group: Group,
        ids: Ids,
        plain: Ids | None,
        start: int,
        found: WalkResult,
        unseen: EventKind,
    ) -> None:
        self._columns, self._group, self._ids, self._start = columns, group, ids, start
        self.plain = plain if group.aggregated and plain is not None else ids
        ids.time = max(ids.time, self.plain.time)
        self._found, self._unseen = found, unseen
        self._reached = self._looked_up = start
        self._recent: Recent | None = None

    def run(self) -> tuple[int, Ids]:
        """Walk; returns the index in the group at which to continue, and the ids to continue with."""
        group, end = self._group, len(self._group.rows)
        self._found.epoch[group.rows[self._start :]] = self._ids.epoch
        at, again = self._start, False
        while at < end and not again:
            at, again = self._stretch(at)
        if not again:
            self._pass(end)
            self._remember(end)
        self.plain.time = max(self.plain.time, self._ids.time)
        return (at, self._restarted(at - 1)) if again else (end, self._ids)

    def _stretch(self, start: int) -> tuple[int, bool]:
        """Walk as long as the highest ids are the expected ones; the index reached, and if an epoch ended."""
        group, ids = self._group, self._ids
        unusual, high, last = expected(group, ids, self.plain, start)
        for at in unusual:
            self._pass(at)
            if not group.usable[at]:
                self._unusable(at)
            elif self._starts_again(at):
                return at + 1, True
            self._reached = at + 1
            give_up(ids.holes)
            give_up(self.plain.holes)
            if ids.high != high[at - start] or (group.aggregated and self.plain.high != last[at - start]):
                return at + 1, False
        return len(group.rows), False

    def _pass(self, at: int) -> None:
        """Advance the state over the in-sequence trades before index `at`."""
        group, ids, part = self._group, self._ids, slice(self._reached, at)
        if self._reached < at:
            ids.high = int(group.number[at - 1])
            ids.time = max(ids.time, int(group.time[part].max()))
            if group.aggregated:
                ids.last = self.plain.high = int(group.last[at - 1])

    def _unusable(self, at: int) -> None:
        """Note an unusable trade: its id was received, and a usable trade with it is still accepted."""
        number, first, high = int(self._group.number[at]), int(self._group.first[at]), self.plain.high
        if number > self._ids.high:
            self._came(at)
            self._ids.holes.append((number, number))
            if self._group.aggregated and self.plain.high > high:
                self.plain.holes.append((max(first, high + 1), self.plain.high))

    def _starts_again(self, at: int) -> bool:
        """Decide what a trade is; True if it is the first of a new epoch."""
        group, ids = self._group, self._ids
        number, time = int(group.number[at]), int(group.time[at])
        if number > ids.high and not group.aggregated and not ids.past:
            return self._accept(at)
        if self._is_repeated(at):
            return self._drop(at)
        if ids.past and time <= ids.past[-1].time and time < ids.since:
            return self._late_of_ended_epoch(at)
        later = ids.time > 0 and time // _MS > (ids.time + OVERLAP_US) // _MS and not group.ahead[at]
        missing = holds(ids.holes, number)
        if missing and later:
            return True
        unseen = self._unseen_of(at, missing)
        if unseen == int(group.last[at]) - int(group.first[at]) + 1:
            late = fill(ids.holes, number)
            self._accept(at)
            if late and group.aggregated:
                where = ids.holes, number, self.plain.holes, int(group.first[at]), int(group.last[at])
                for part in beside(*where):
                    self._missing(at, *part, "")
            return False
        if later or self._other_content(at):
            return True
        if unseen:
            cause = "stands for ids of which only some were seen"
        elif ids.time > 0 and time // _MS > ids.time // _MS + 1:
            cause = f"newer than the newest trade by less than {OVERLAP_US // 1_000_000} s"
        else:
            return self._drop(at)
        cause = f"id {number} was seen: {cause}: a repeat, or ids that start again"
        self._found.doubtful[int(group.rows[at])] = cause
        return self._drop(at)

    def _unseen_of(self, at: int, missing: bool) -> int:
        """How many of the ids that a trade stands for are unseen; `missing`: its own id is.

        Where its own id was seen, only ids that are higher than all others can be unseen.
        """
        group, number = self._group, int(self._group.number[at])
        if not group.aggregated:
            return 1 if missing or number > self._ids.high else 0
        ranges = self.plain.holes if missing or number > self._ids.high else []
        return count(ranges, self.plain.high, int(group.first[at]), int(group.last[at]))

    def _is_repeated(self, at: int) -> bool:
        """Whether one of the last trades has the same identity and content, the time within 1 ms."""
        group = self._group
        if self._recent is None:
            self._recent = Recent(recent.unpacked(self._ids.recent))
        between = slice(self._looked_up, at)
        self._recent.extend(group.pairs[between][self._found.keep[group.rows[between]]])
        self._looked_up = at
        numbers, stamp = group.hashes[at : at + 1], group.stamp[at : at + 1]
        near = (int(content.timed(numbers, stamp + shift)[0]) for shift in (0, -_MS, _MS))
        return self._recent.has(int(group.pairs[at, 0]), near)

    def _other_content(self, at: int) -> bool:
        """Whether one of the last trades has the same id; called only where none has the same content."""
        assert self._recent is not None
        return self._recent.has_identity(int(self._group.pairs[at, 0]))

    def _accept(self, at: int) -> bool:
        if self._group.aggregated:
            fill_all(self.plain.holes, int(self._group.first[at]), int(self._group.last[at]))
        self._came(at)
        self._ids.time = max(self._ids.time, int(self._group.time[at]))
        return False

    def _drop(self, at: int) -> bool:
        self._found.keep[self._group.rows[at]] = False
        return False

    def _came(self, at: int) -> None:
        """Mark an id as received, and report the ids between it and the previous highest one as missing."""
        if self._group.aggregated:
            return self._aggregated_came(at)
        ids, number = self._ids, int(self._group.number[at])
        if number > ids.high + 1:
            ids.holes.append((ids.high + 1, number - 1))
            self._missing(at, ids.high + 1, number - 1, self._group.numbering)
        ids.high = max(ids.high, number)

    def _aggregated_came(self, at: int) -> None:
        """Report the missing aggregated trades, or the plain ones if only they are missing or came last."""
        group, ids, plain = self._group, self._ids, self.plain
        number, first, last = int(group.number[at]), int(group.first[at]), int(group.last[at])
        if number > ids.high + 1 and first != plain.high + 1:
            ids.holes.append((ids.high + 1, number - 1))
            if plain.high == ids.last:
                self._missing(at, ids.high + 1, number - 1, group.numbering)
        if first > plain.high + 1:
            plain.holes.append((plain.high + 1, first - 1))
            if plain.high > ids.last or number <= ids.high + 1:
                self._missing(at, plain.high + 1, first - 1, "")
        ids.high = max(ids.high, number)
        plain.high, ids.last = max(plain.high, last), max(ids.last, last)

    def _missing(self, at: int, first: int, last: int, numbering: str) -> None:
        event = self._event(self._unseen, at, self._ids.epoch, last - first + 1)
        missing = {"first_missing": first, "last_missing": last, "numbering": numbering}
        self._found.add(msgspec.structs.replace(event, **missing), int(self._group.rows[at]))

    def _late_of_ended_epoch(self, at: int) -> bool:
        """Handle a late trade of an ended epoch; always returns False."""
        group, row = self._group, int(self._group.rows[at])
        number, time = int(group.number[at]), int(group.time[at])
        ids = next(past for past in self._ids.past if time <= past.time)
        self._found.epoch[row] = ids.epoch
        if number <= ids.high:
            if not fill(ids.holes, number):
                if self._other_content(at):
                    self._found.doubtful[row] = (
                        f"id {number} was seen: as old as before the ids started again"
                    )
                return self._drop(at)
        else:
            if number > ids.high + 1:
                ids.holes.append((ids.high + 1, number - 1))
            ids.high = number
        give_up(ids.holes)
        return False

    def _restarted(self, at: int) -> Ids:
        """Start a new epoch with a trade; returns its ids."""
        group, before, row = self._group, self._ids, int(self._group.rows[at])
        number, time, epoch = int(group.number[at]), int(group.time[at]), before.epoch + 1
        self._found.epoch[row] = epoch
        self._found.add(self._event(EventKind.RESTART, at, epoch, 1), row)
        self._remember(at + 1)
        begun = epoch_after(before, number, number, time)
        if group.aggregated:
            begun.last = int(group.last[at])
            self.plain = epoch_after(self.plain, int(group.first[at]), begun.last, time)
        return begun

    def _remember(self, end: int) -> None:
        group, part = self._group, slice(self._start, end)
        kept = group.pairs[part][self._found.keep[group.rows[part]]]
        self._ids.recent = recent.appended(self._ids.recent, kept)

    def _event(self, kind: EventKind, at: int, epoch: int, count: int) -> FeedEvent:
        columns, row = self._columns, int(self._group.rows[at])
        return FeedEvent(
            kind=kind,
            exchange=columns.exchange,
            time=columns.receive_time[row],
            symbol=columns.symbol[row],
            detail=f"trade ids start again at {columns.trade_id[row]}" if kind is EventKind.RESTART else "",
            numbering=self._group.numbering,
            epoch=epoch,
            count=count,
            since=self._ids.time,
        )
