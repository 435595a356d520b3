"""Merges trades without ids that several connections report: a union of multisets. Pure.

A connection reports each trade once, possibly starting with some past trades; a later subscription on it
counts as another connection. So the n-th equal trade of a connection is new only if fewer than n are known. A
trade fetched later over REST was missing, and is always new. A connection far behind another, as that of a
worker that was frozen, repeats what is no longer remembered: see `is_forgotten`.
"""

from __future__ import annotations

from bisect import bisect_left

import msgspec

ROUNDING_US = 1
"""REST times have more digits than WebSocket times, or are floats: both may be cut to neighboring µs."""

MAX_LINKS = 4
"""Connections distinguished per symbol; the one that appeared first is dropped first."""


BEHIND_US = 1_000_000
"""A trade older than its connection's newest by more than this was late at the exchange."""

_NEVER = 1 << 62


class LinkSpan(msgspec.Struct, array_like=True):
    """Times (µs) of a connection's trades: `first` to `last`, remembered after `forgotten`."""

    first: int = _NEVER
    last: int = 0
    forgotten: int = 0


class Reported(msgspec.Struct, array_like=True):
    """Equal trades at one time (µs): their `count`, and how many of them each connection has reported.

    `seen` is the symbol's newest trade time (µs) when one of them was last reported. `dropped` is the most
    that one of the connections reported that are no longer distinguished.
    """

    time: int
    content: int
    seen: int = 0
    count: int = 0
    links: list[int] = []
    dropped: int = 0


class Union(msgspec.Struct, array_like=True):
    """The newest trades of a symbol, ascending by time and content, and the connections that reported them.

    Up to `floor` (µs) there may be trades that an earlier release did not remember. `spans` are of the
    `links`; in states of earlier releases there are none. `others` is the span of what is no longer
    remembered of fetches and of the connections that were dropped.
    """

    reported: list[Reported] = msgspec.field(default_factory=list, name="told")
    links: list[str] = []
    floor: int = 0
    spans: list[LinkSpan] = []
    others: LinkSpan = msgspec.field(default_factory=LinkSpan)


def copied(union: Union) -> Union:
    """A copy that may be modified."""
    reported = [msgspec.structs.replace(item, links=list(item.links)) for item in union.reported]
    spans = [msgspec.structs.replace(span) for span in union.spans]
    return Union(reported, list(union.links), union.floor, spans, msgspec.structs.replace(union.others))


def is_forgotten(union: Union, link: str, time: int) -> bool:
    """Whether another connection, or a fetch, has brought the trades of a time (µs) that are forgotten.

    False for a trade that is behind its own connection's: the exchange itself was late with it.
    """
    at = union.links.index(link) if link in union.links else -1
    if 0 <= at < len(union.spans) and time < union.spans[at].last - BEHIND_US:
        return False
    spans = [union.others, *(span for i, span in enumerate(union.spans) if i != at)]
    return any(span.first <= time <= span.forgotten for span in spans)


def reach(union: Union, link: str, time: int) -> None:
    """Note that a connection reported a usable trade of a time (µs); that of an unusable one may be any."""
    span = union.spans[_link(union, link)]
    span.first, span.last = min(span.first, time), max(span.last, time)


def live(union: Union, link: str, time: int, content: int, newest: int) -> Reported | None:
    """Add a trade that a connection reported; returns None for a duplicate.

    `newest` is the symbol's newest trade time in µs, including this trade.
    """
    at = _link(union, link)
    reported = _find(union, time, content)
    reported.seen = newest
    reported.links.extend([0] * (at + 1 - len(reported.links)))
    reported.links[at] += 1
    if reported.links[at] <= reported.count:
        return None
    reported.count += 1
    near = _fetched_near(union, time, content)
    if near is None:
        return reported
    near.count -= 1  # moved: from now on it has the time that all connections report
    if not near.count:
        union.reported.remove(near)
    return None


def fetched(union: Union, time: int, content: int, newest: int) -> None:
    """Add a trade that was fetched later over REST; `newest` as in `live`."""
    reported = _find(union, time, content)
    reported.seen = newest
    reported.count += 1


def forget(union: Union, most: int, limit: int, newest: int, recent_us: int) -> None:
    """Keep the newest `most` entries, and up to `limit` of those reported within the last `recent_us`."""
    reported = union.reported
    while len(reported) > most and (len(reported) > limit or reported[0].seen < newest - recent_us):
        for span, count in zip(union.spans, reported[0].links, strict=False):
            if count:
                span.forgotten = max(span.forgotten, reported[0].time)
        if reported[0].count > max(reported[0].links, default=0):
            time = reported[0].time
            _forgotten(union.others, time - ROUNDING_US, time + ROUNDING_US)
        del reported[0]


def _forgotten(span: LinkSpan, first: int, last: int) -> None:
    span.first, span.forgotten = min(span.first, first), max(span.forgotten, last)


def _link(union: Union, link: str) -> int:
    union.spans.extend(LinkSpan() for _ in union.links[len(union.spans) :])
    if link in union.links:
        return union.links.index(link)
    union.spans.append(LinkSpan())
    if len(union.links) == MAX_LINKS:
        _forgotten(union.others, union.spans[0].first, union.spans[0].forgotten)
        del union.links[0], union.spans[0]
        for item in union.reported:
            item.dropped = max([item.dropped, *item.links[:1]])
            del item.links[:1]
    union.links.append(link)
    return len(union.links) - 1


def _find(union: Union, time: int, content: int) -> Reported:
    at = bisect_left(union.reported, (time, content), key=lambda item: (item.time, item.content))
    if at == len(union.reported) or (union.reported[at].time, union.reported[at].content) != (time, content):
        union.reported.insert(at, Reported(time, content, 0, 0, []))
    return union.reported[at]


def _fetched_near(union: Union, time: int, content: int) -> Reported | None:
    """The same content at a neighboring time, if more of it was fetched than connections have reported."""
    for near in (time - ROUNDING_US, time + ROUNDING_US):
        at = bisect_left(union.reported, (near, content), key=lambda item: (item.time, item.content))
        item = union.reported[at] if at < len(union.reported) else Reported(0, 0)
        if (item.time, item.content) == (near, content) and item.count > max([item.dropped, *item.links]):
            return item
    return None
