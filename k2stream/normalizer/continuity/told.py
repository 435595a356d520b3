"""Trades without ids told by several sources: a union of multisets. Pure.

A connection tells each trade once (a later subscription on it is another source), and may begin with some of
the past. So what it tells the n-th time is new only when nobody has told it n times. What was fetched later
over REST is what was missing, and always new.
"""

from __future__ import annotations

from bisect import bisect_left

import msgspec

ROUNDING_US = 1
"""REST times have more digits than the socket's, or are floats: the two may be cut to neighbouring µs."""

MAX_LINKS = 4
"""Connections told apart; the one that is longest out of use leaves first."""


class Told(msgspec.Struct, array_like=True):
    """One content at one time, µs: how many trades there are, and how many of them each connection told.

    `seen` is the newest trade time when it was told last.
    """

    time: int
    content: int
    seen: int = 0
    count: int = 0
    links: list[int] = []


class Union(msgspec.Struct, array_like=True):
    """The newest trades of a symbol, ascending by time and content, and the connections that told them.

    Up to `floor`, µs, there were trades that an earlier release did not remember.
    """

    told: list[Told] = []
    links: list[str] = []
    floor: int = 0


def copied(union: Union) -> Union:
    """One that may be changed."""
    told = [msgspec.structs.replace(item, links=list(item.links)) for item in union.told]
    return Union(told, list(union.links), union.floor)


def live(union: Union, link: str, time: int, content: int, newest: int) -> Told | None:
    """Take a trade that came over a connection; None for one that was told before.

    `newest` is the newest trade time, this one's included.
    """
    at = _link(union, link)
    told = _find(union, time, content)
    if not told.count:
        told = _fetched_near(union, at, time, content) or told
    told.seen = newest
    told.links.extend([0] * (at + 1 - len(told.links)))
    told.links[at] += 1
    if told.links[at] <= told.count:
        return None
    told.count += 1
    return told


def fetched(union: Union, time: int, content: int, newest: int) -> None:
    """Take a trade that was fetched later."""
    told = _find(union, time, content)
    told.seen = newest
    told.count += 1


def forget(union: Union, most: int, limit: int, newest: int, recent_us: int) -> None:
    """Keep the newest `most`, up to `limit` of those last told when the newest trade was not much older."""
    told = union.told
    while len(told) > most and (len(told) > limit or told[0].seen < newest - recent_us):
        del told[0]


def _link(union: Union, link: str) -> int:
    if link in union.links:
        return union.links.index(link)
    if len(union.links) == MAX_LINKS:
        del union.links[0]
        for item in union.told:
            del item.links[:1]
    union.links.append(link)
    return len(union.links) - 1


def _find(union: Union, time: int, content: int) -> Told:
    at = bisect_left(union.told, (time, content), key=lambda item: (item.time, item.content))
    if at == len(union.told) or (union.told[at].time, union.told[at].content) != (time, content):
        union.told.insert(at, Told(time, content, 0, 0, []))
    return union.told[at]


def _fetched_near(union: Union, link: int, time: int, content: int) -> Told | None:
    """The same at a neighbouring time, of which more were fetched than the connection has told."""
    for near in (time - ROUNDING_US, time + ROUNDING_US):
        at = bisect_left(union.told, (near, content), key=lambda item: (item.time, item.content))
        if at < len(union.told) and (union.told[at].time, union.told[at].content) == (near, content):
            item = union.told[at]
            if item.count > max(item.links, default=0) and item.count > sum(item.links[link : link + 1]):
                return item
    return None
