"""Tracks the state of each symbol's subscription on a connection. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from k2stream.exchanges.spec import Answer, Request, Subscription
from k2stream.model.events import EventKind

LEFT_OUT = "not among the subscriptions that the exchange confirms"
UNANSWERED = "no answer"

_DOWN = {Subscription.REFUSED: EventKind.REFUSED, Subscription.WITHDRAWN: EventKind.WITHDRAWN}
_BEFORE = {Subscription.REFUSED: Subscription.ASKED, Subscription.WITHDRAWN: Subscription.CONFIRMED}
"""The state that must precede: only a requested symbol can be refused, only a confirmed one withdrawn."""


class Change(NamedTuple):
    """A change to report; `since` (µs, 0 for never) is when the symbol, or the feed, was last up."""

    kind: EventKind
    symbol: str = ""
    detail: str = ""
    since: int = 0


class Subscriptions:
    """The subscriptions of one connection.

    `up_until` is, by symbol, the time (µs) until which its trades are known to have arrived; all connections
    of a feed share it. Once every symbol has a response, the changes report that the feed is connected, if
    all are subscribed, or else the subscribed symbols. After that they report each change, and when all
    symbols are subscribed again.
    """

    def __init__(self, symbols: Iterable[str] = (), up_until: dict[str, int] | None = None) -> None:
        self.states = dict.fromkeys(symbols, Subscription.ASKED)
        self.answered = False
        """Whether the exchange has responded about any symbol."""

        self._up_until = {} if up_until is None else up_until
        self.again: Counter[str] = Counter()
        """How often each symbol was requested again."""

        self._requests: dict[int, tuple[str, ...]] = {}
        self._reasons: dict[str, str] = {}
        self._reported = False

    @property
    def whole(self) -> bool:
        """Whether all symbols are subscribed."""
        return all(state is Subscription.CONFIRMED for state in self.states.values())

    @property
    def down(self) -> list[str]:
        """Return the symbols that must be requested again."""
        return [symbol for symbol, state in self.states.items() if state in _DOWN]

    def waiting(self, symbols: Iterable[str]) -> list[str]:
        """Return those of `symbols` that are requested and not answered."""
        return [symbol for symbol in symbols if self.states[symbol] is Subscription.ASKED]

    def ask(self, request: Request) -> None:
        """Record a request that is about to be sent."""
        if request.number:
            self._requests[request.number] = request.symbols
        for symbol in request.symbols:
            self.again[symbol] += self.states[symbol] is not Subscription.ASKED
            self.states[symbol] = Subscription.ASKED

    def answer(self, answer: Answer, text: str, time: int) -> list[Change]:
        """Apply an answer that arrived at `time` (µs); `text` is the exchange's message."""
        changes: list[Change] = []
        for symbol, state, detail in list(self._meant(answer, text)):
            changes += self._set(symbol, state, detail, time)
        if any(change.kind is EventKind.SUBSCRIBED for change in changes) and self.whole:
            changes.append(Change(EventKind.CONNECTED, since=time))  # outages were reported per symbol
        return changes + self._first()

    def unanswered(self, symbols: Iterable[str], time: int) -> list[Change]:
        """Mark symbols without a response in time (`time` in µs) as refused."""
        changes = [
            change
            for symbol in self.waiting(symbols)
            for change in self._set(symbol, Subscription.REFUSED, UNANSWERED, time)
        ]
        return changes + self._first()

    def closed(self, up_until: int) -> None:
        """Record the end of the connection; everything that was sent until `up_until` (µs) has arrived."""
        if self._reported:  # otherwise the previous outage is not reported yet and continues
            for symbol, state in self.states.items():
                if state is Subscription.CONFIRMED:
                    self._up_until[symbol] = up_until

    def _meant(self, answer: Answer, text: str) -> Iterator[tuple[str, Subscription, str]]:
        if answer.complete:
            for symbol, state in self.states.items():
                if symbol in answer.symbols:
                    yield symbol, Subscription.CONFIRMED, text
                elif state is Subscription.CONFIRMED:
                    yield symbol, Subscription.WITHDRAWN, LEFT_OUT
                else:
                    yield symbol, Subscription.REFUSED, LEFT_OUT
            return
        symbols = answer.symbols
        if answer.request is not None:
            symbols = self._requests.pop(answer.request, ())
        elif not symbols and answer.state is not Subscription.CONFIRMED:
            symbols = tuple(self.states)
        yield from ((symbol, answer.state, text) for symbol in symbols if symbol in self.states)

    def _set(self, symbol: str, state: Subscription, detail: str, time: int) -> list[Change]:
        before = self.states[symbol]
        self.answered = self.answered or state is not Subscription.WITHDRAWN
        if state is Subscription.CONFIRMED:
            self.states[symbol] = state
            self._reasons.pop(symbol, None)
            new = before is not state and self._reported
            return [Change(EventKind.SUBSCRIBED, symbol, since=self._since(symbol))] if new else []
        if before is not _BEFORE[state]:
            return []
        if before is Subscription.CONFIRMED and self._reported:
            self._up_until[symbol] = time
        self.states[symbol] = state
        if self._reasons.get(symbol) == detail:
            return []
        self._reasons[symbol] = detail
        return [Change(_DOWN[state], symbol, detail, self._since(symbol))]

    def _first(self) -> list[Change]:
        if self._reported or not self.states or self.waiting(self.states):
            return []
        self._reported = True
        up = {
            symbol: self._since(symbol)
            for symbol, state in self.states.items()
            if state is Subscription.CONFIRMED
        }
        whole = max(up.values()) if len(up) == len(self.states) else None
        changes = [
            Change(EventKind.SUBSCRIBED, symbol, since=since)
            for symbol, since in up.items()
            if since != whole
        ]
        return changes if whole is None else [*changes, Change(EventKind.CONNECTED, since=whole)]

    def _since(self, symbol: str) -> int:
        return self._up_until.get(symbol, 0)
