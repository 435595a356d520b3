"""What a simulated exchange is: a frozen value, in a module of its own name in protocols/."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from k2stream.simulator.assets import Style
from k2stream.simulator.rest.answers import RestAnswer
from k2stream.simulator.rest.past import PastOrders
from k2stream.simulator.wire import Dialect


@dataclass(frozen=True, slots=True)
class Protocol:
    """An exchange's servers. `dialect` takes instruments, Denials and `ages`."""

    dialect: Callable[..., Dialect]
    style: Style

    routes: Mapping[str, Callable[[PastOrders, Mapping[str, str]], RestAnswer]]
    """What answers which path of its REST interface."""

    requests: int
    """How many of them a window has room for."""

    too_many: RestAnswer
    """What the next one is told."""

    share: float = 1.0
    """Of the trades, relative to the other exchanges."""

    ages: Mapping[str, float] = field(default_factory=dict)
    """Seconds that its dialect takes by name (`close_seconds`, `ping_seconds`), with their defaults."""
