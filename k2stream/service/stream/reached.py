"""How far a subscription is: what its resume tokens say."""

from __future__ import annotations

from collections.abc import Callable

from k2stream.service.stream import tokens
from k2stream.service.stream.entries import Place, StreamEntry
from k2stream.service.stream.tokens import Delivered, Progress, Token

AHEAD_MS = 120_000
"""How long tokens name candles that were ahead of the log: much longer than a publication takes."""


class ReachedPlaces:
    """The places that were delivered, and in history the key and window (ms); `now` returns ms since 1970."""

    def __init__(self, check: int, start: int, now: Callable[[], int]) -> None:
        self.places: dict[int, Place] = {}
        self.start, self.key, self.window = start, "", 0
        self.suffix = b""
        """The end of each message: the subscription's own part of the token, and what closes it."""

        self._check, self._now, self._log = check, now, ""
        self._ahead: dict[tuple[str, int], int] = {}
        self._ahead_until = 0
        self.at("", 0)

    @property
    def token(self) -> str:
        """The token of what was delivered; empty before anything was."""
        return (tokens.places(self.places) + self.suffix[:-2]).decode() if self.places else ""

    def at(self, key: str, window: int) -> None:
        """History is delivered up to a window of a key; completely with an empty key."""
        self.key, self.window = key, window
        ahead = tuple(Delivered(*of, revision) for of, revision in self._ahead.items())
        progress = Progress(self._check, self.start, key, window, ahead, self._log)
        self.suffix = tokens.rest(progress) + b'"}'

    def of(self, log: str) -> None:
        """The places are of the log with an identity."""
        self._log = log
        self.at(self.key, self.window)

    def resume(self, token: Token) -> None:
        """Go on where a token was."""
        self.places, self.start = dict(token.places), token.progress.start
        self._ahead = {(item.key, item.window): item.revision for item in token.progress.ahead}
        self._ahead_until = self._now() + AHEAD_MS
        self._log = token.progress.log  # until it is known to be the source's
        self.at(token.progress.key, token.progress.window)

    def begin(self, key: str, places: dict[int, Place]) -> None:
        """Begin history, with the log at some places."""
        self.places = places
        self._ahead.clear()
        self.at(key, self.start - 1)

    def ahead(self, key: str, window: int, revision: int) -> None:
        """A candle was delivered that may be ahead of the log."""
        self._ahead[key, window] = revision
        self._ahead_until = self._now() + AHEAD_MS

    def includes(self, entry: StreamEntry) -> bool:
        """Whether history was delivered as far as an entry's window."""
        return not self.key or (entry.key, entry.time) <= (self.key, self.window)

    def repeats(self, entry: StreamEntry) -> bool:
        """Whether a revision was delivered before, when it was ahead of the log."""
        if not self._ahead:
            return False
        if self._now() > self._ahead_until:
            self._ahead.clear()
        known = self._ahead.get((entry.key, entry.time), -1)
        if entry.revision > known or (entry.revision == known and entry.sure):
            self._ahead.pop((entry.key, entry.time), None)
        self.at(self.key, self.window)
        return entry.revision <= known
