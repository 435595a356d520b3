"""What an exchange is: a frozen value of pure functions, registered by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from k2stream.exchanges.rest.spec import RestHistory
from k2stream.model.instrument import Instrument
from k2stream.model.trade import RawTrade, TradeColumns


class Kind(StrEnum):
    """What a frame is."""

    TRADES = "trades"
    CONTROL = "control"  # confirmations, heartbeats, status: counted, nothing else
    ERROR = "error"  # the exchange says no, e.g. a rejected subscription: logged at error level
    UNKNOWN = "unknown"  # well-formed, but of no kind known here
    REJECTED = "rejected"  # not readable: to the dead-letter topic with its cause


class Continuity(StrEnum):
    """What an exchange's trade ids promise, per symbol."""

    CONTIGUOUS = "contiguous"  # n, n+1, …: a jump is a gap of known size, a repeat a duplicate
    RISING = "rising"  # unique and rising: a repeat is a duplicate, a jump may be a gap
    NONE = "none"  # no ids: nothing is ever a duplicate; ids are made from content and ordinal


class Reject(NamedTuple):
    """A frame, or one trade of a frame, that cannot be used, and why."""

    cause: str
    original: bytes


class Subscription(StrEnum):
    """What is known of one symbol's subscription on a connection."""

    ASKED = "asked"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"  # confirmed, then taken away by the exchange


class Answer(NamedTuple):
    """What a frame says of subscriptions: `state` is that of `symbols`, or of the symbols of `request`.

    A state other than CONFIRMED that comes with neither is of all symbols that may be meant. `complete`: all
    that is subscribed is named, so what is not named is not.
    """

    state: Subscription
    symbols: tuple[str, ...] = ()
    request: int | None = None
    complete: bool = False


class Request(NamedTuple):
    """A frame that asks for symbols; answers say its `number` where the exchange has such."""

    text: str
    symbols: tuple[str, ...]
    number: int = 0


class Frame(NamedTuple):
    """One parsed frame. `sequence` is the exchange's own frame counter where it has one.

    `closing`: the exchange is about to end the connection.
    """

    kind: Kind
    trades: tuple[RawTrade, ...] = ()
    rejects: tuple[Reject, ...] = ()
    detail: str = ""
    sequence: int | None = None
    answer: Answer | None = None
    closing: bool = False


class Subscribe(Protocol):
    """Requests for instruments, in the order in which to send them, numbered from `first` on.

    Raises ConfigError for instruments that the exchange cannot be asked for.
    """

    def __call__(self, instruments: Sequence[Instrument], first: int = 1) -> list[Request]: ...


@dataclass(frozen=True, slots=True)
class Layout:
    """The raw record of a plain trade, for reading whole batches of them by column; names are JSON's.

    `constant` fields have one text in all, `absent` ones make it another kind of record. Records have flat
    ids without holes, decimals as strings with a point, and times as whole numbers.
    """

    symbol: str
    id: str
    price: str
    quantity: str
    time: str
    buyer_is_maker: str
    micros: Callable[[NDArray[np.int64]], NDArray[np.int64]]
    """The values of the time field to µs since 1970."""

    vendor_data: tuple[str, ...] = ()
    constant: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Native:
    """A raw trade in the exchange's own fields and literal digits, as the bronze tables hold it.

    The fields of `record` are the columns, in their order; it takes whatever normalise takes.
    """

    record: type[msgspec.Struct]
    symbol: str
    """The field of the native symbol."""

    words: tuple[str, ...] = ()
    """Fields of few different texts."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    """Columns of other names in Iceberg, where most engines take `e` and `E` for one."""

    bronze_view: str = ""
    """SQL over its ClickHouse columns: what `k2 validate` holds silver to; empty where a migration has it.

    In this order: symbol, id, aggregated, price, quantity (as they were written), side (the taker's),
    timestamp, vendor_data.
    """


Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange. Every function is pure; `parse` never raises."""

    name: str
    ws_url: str
    """Where its feed is, unless a setting says otherwise."""

    rest_url: str
    """Where its past trades are."""

    native: Native
    subscribe: Subscribe
    parse: Callable[[bytes], Frame]
    """One WebSocket message to its kind and trades (ascending by id within a message)."""

    record: type[msgspec.Struct] | UnionType
    """The fields of a raw record that normalise reads, with the ingest metadata of exchanges/raw.py."""

    normalise: Callable[[Sequence[Any]], TradeColumns]
    """Decoded raw records to columns; a value that is no number is left for the shared decimal check."""

    canonical: Callable[[str], str]
    """Native symbol to BASE/QUOTE by the exchange's own rule, for symbols that no file names."""

    continuity: Continuity
    silence_seconds: float
    """No frame at all (heartbeats count) for so long means a dead connection."""

    expected_close: Callable[[float], bool] = lambda age_seconds: False
    """Whether a close at this connection age is the exchange's custom (of 24 h, say), not an error."""

    conditions: Mapping[str, str] = field(default_factory=dict)
    """What a canonical trade says of its numbering, as in TradeColumns."""

    heartbeats: str = ""
    """A frame that asks for heartbeats, sent after the requests; empty where they come unasked."""

    refuses_whole: bool = False
    """One symbol that it cannot serve makes it refuse a request: what it refused is asked for one by one."""

    layout: Layout | None = None
    """How its plain trades are read by column; None reads all record by record."""

    history: RestHistory | None = None
    """How past trades are fetched over REST; None where they cannot be."""
