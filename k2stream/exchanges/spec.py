"""The definition of an exchange: a frozen value of pure functions, registered by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from k2stream.exchanges.rest.klines import RestKlines
from k2stream.exchanges.rest.spec import RestHistory
from k2stream.model.instrument import Instrument
from k2stream.model.trade import RawTrade, TradeColumns
from k2stream.model.trade import Reject as Reject


class Kind(StrEnum):
    """Kinds of frames."""

    TRADES = "trades"
    CONTROL = "control"  # confirmations, heartbeats, status: only counted
    ERROR = "error"  # an error response, e.g. a rejected subscription: logged at error level
    UNKNOWN = "unknown"  # well-formed, but of no known kind
    REJECTED = "rejected"  # unreadable: sent to the dead-letter topic with its cause


class Continuity(StrEnum):
    """What an exchange guarantees of its trade ids, per symbol."""

    CONTIGUOUS = "contiguous"  # n, n+1, …: a jump is a gap of known size, a repetition a duplicate
    RISING = "rising"  # unique and rising: a repetition is a duplicate, a jump may be a gap
    NONE = "none"  # no ids: nothing is a duplicate; ids are derived from content and ordinal


class Subscription(StrEnum):
    """The state of one symbol's subscription on a connection."""

    ASKED = "asked"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"  # confirmed, then ended by the exchange


class Answer(NamedTuple):
    """The subscription state in a frame: `state` applies to `symbols`, or to the symbols of `request`.

    A state other than CONFIRMED without either applies to all symbols. `complete` means that `symbols` are
    all subscribed symbols, so that any other symbol is not subscribed.
    """

    state: Subscription
    symbols: tuple[str, ...] = ()
    request: int | None = None
    complete: bool = False


class Request(NamedTuple):
    """A frame that subscribes to symbols; responses contain its `number` if the exchange supports that."""

    text: str
    symbols: tuple[str, ...]
    number: int = 0


class Frame(NamedTuple):
    """One parsed frame. `sequence` is the exchange's frame counter, None if it has none.

    `closing` means that the exchange is about to end the connection.
    """

    kind: Kind
    trades: tuple[RawTrade, ...] = ()
    rejects: tuple[Reject, ...] = ()
    detail: str = ""
    sequence: int | None = None
    answer: Answer | None = None
    closing: bool = False


class Subscribe(Protocol):
    """Returns the requests that subscribe to instruments, in sending order, numbered from `first` on.

    Raises ConfigError for instruments that the exchange cannot subscribe to.
    """

    def __call__(self, instruments: Sequence[Instrument], first: int = 1) -> list[Request]: ...


@dataclass(frozen=True, slots=True)
class Layout:
    """The raw record of a plain trade, for reading batches by column; names are those of the JSON fields.

    `constant` fields have the same text in every record; a record with an `absent` field is of another kind.
    Records have contiguous ids of one numbering, decimals as strings with a point, and times as whole
    numbers.
    """

    symbol: str
    id: str
    price: str
    quantity: str
    time: str
    buyer_is_maker: str
    micros: Callable[[NDArray[np.int64]], NDArray[np.int64]]
    """Converts values of the time field to µs since 1970."""

    vendor_data: tuple[str, ...] = ()
    constant: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Native:
    """A raw trade in the exchange's own fields and literal digits, as stored in the bronze tables.

    The fields of `record` are the columns, in order. `record` accepts everything that `normalize` accepts.
    """

    record: type[msgspec.Struct]
    symbol: str
    """Name of the field with the native symbol."""

    words: tuple[str, ...] = ()
    """Fields with few distinct texts."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    """Columns with other names in Iceberg, where most engines do not distinguish `e` and `E`."""

    bronze_view: str = ""
    """SQL over the ClickHouse columns with which `k2 validate` compares silver; empty if a migration has it.

    The columns are, in this order: symbol, id, aggregated, price, quantity (literal digits), side (the
    taker's), timestamp, vendor_data.
    """


Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange. Every function is pure; `parse` never raises."""

    name: str
    ws_url: str
    """Default URL of the feed."""

    rest_url: str
    """Default URL of past trades."""

    native: Native
    subscribe: Subscribe
    parse: Callable[[bytes], Frame]
    """Parses one WebSocket message to its kind and trades (ascending by id within a message)."""

    record: type[msgspec.Struct] | UnionType
    """The fields of a raw record that `normalize` reads, with the ingest metadata of exchanges/raw.py."""

    normalize: Callable[[Sequence[Any]], TradeColumns]
    """Converts decoded raw records to columns; invalid numbers are left to the shared decimal check."""

    canonical: Callable[[str], str]
    """Converts a native symbol to BASE/QUOTE by rule, for symbols that are not in the instruments file."""

    continuity: Continuity
    silence_seconds: float
    """Without any frame (heartbeats included) for this long, a connection is considered dead."""

    expected_close: Callable[[float], bool] = lambda age_seconds: False
    """Whether a close at this connection age is expected (e.g. after 24 h), not an error."""

    conditions: Mapping[str, str] = field(default_factory=dict)
    """The trade condition of each numbering, by its name in TradeColumns."""

    covered: tuple[str, str] | None = None
    """Names of the vendor data with the first and the last id that an aggregated trade covers, if any has."""

    heartbeats: str = ""
    """A frame that requests heartbeats, sent after the subscriptions; empty if they are sent by default."""

    refuses_whole: bool = False
    """Whether one invalid symbol makes it refuse a whole request; symbols are then requested one by one."""

    layout: Layout | None = None
    """How plain trades are read by column; None if all are read record by record."""

    history: RestHistory | None = None
    """How past trades are fetched over REST; None if that is impossible."""

    klines: RestKlines | None = None
    """How its own candles are fetched over REST; None if it has none: candles are then not compared."""
