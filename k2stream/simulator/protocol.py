"""The description of a simulated exchange: a frozen value, in the module of its name in protocols/."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from k2stream.simulator.assets import Style
from k2stream.simulator.rest.answers import RestAnswer
from k2stream.simulator.rest.klines import PastKlines
from k2stream.simulator.rest.past import PastOrders
from k2stream.simulator.wire import Dialect, Message, Subscriber

Relay = Callable[[Subscriber, str, Sequence[bytes], int], list[Message]]
"""Messages of recorded trades of one symbol, whose JSON is as ingested, for a client at a time in µs."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """The servers of an exchange. `dialect` is called with instruments, Denials and `ages`."""

    dialect: Callable[..., Dialect]
    style: Style

    routes: Mapping[str, Callable[[PastOrders, Mapping[str, str]], RestAnswer]]
    """Handlers of the REST interface, by path."""

    requests: int
    """REST requests allowed per time window."""

    too_many: RestAnswer
    """The answer to requests beyond that."""

    klines: Mapping[str, Callable[[PastKlines, Mapping[str, str]], RestAnswer]] = field(default_factory=dict)
    """Handlers of its own candles, by path."""

    share: float = 1.0
    """Share of all trades, relative to the other exchanges."""

    ages: Mapping[str, float] = field(default_factory=dict)
    """Durations in seconds that the dialect takes as keywords (e.g. `close_seconds`), with their defaults."""

    relay: Relay | None = None
    """How recorded trades are sent again; None if they cannot be."""
