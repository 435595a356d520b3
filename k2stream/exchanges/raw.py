"""Raw records: a trade in the exchange's own fields and literal numbers, plus the ingest's metadata."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from k2stream.exchanges.spec import Exchange, Frame, Kind, Reject
from k2stream.model.clock import TIME_LIMIT as TIME_LIMIT
from k2stream.model.errors import UNREADABLE as UNREADABLE
from k2stream.model.trade import RawTrade

Symbol = Annotated[str, Meta(min_length=1, max_length=64)]
Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]

BACKFILLED = b',"k2_backfilled":true'
"""Marks a raw record whose trade was fetched later over REST."""

FETCHED = "-rest-"
"""Part of the connection name of such a record, which is the only mark in the bronze tables."""


def recorded(trade: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Create the struct of a raw record: a trade's fields, k2_recv (receive time, µs), k2_conn and k2_seq.

    `k2_seq` counts the trades of the connection `k2_conn`. `k2_backfilled` is true of a trade that was
    fetched later over REST. `k2_unread` (µs) is set if the socket was not read from then until `k2_recv`: the
    trade arrived at some time in between. It is 0 if the trade arrived at `k2_recv`.
    """
    metadata: list[tuple[str, Any] | tuple[str, Any, Any]] = [
        ("k2_recv", Annotated[int, Meta(ge=0, lt=TIME_LIMIT)]),
        ("k2_conn", str),
        ("k2_seq", Id),
        ("k2_backfilled", bool, False),
        ("k2_unread", Annotated[int, Meta(ge=0, lt=TIME_LIMIT)], 0),
    ]
    return msgspec.defstruct(
        trade.__name__, metadata, bases=(trade,), module=trade.__module__, kw_only=True, gc=False
    )


def record(
    trade: RawTrade,
    receive_time_us: int,
    connection: str,
    sequence: int,
    *,
    backfilled: bool = False,
    unread: int = 0,
) -> bytes:
    """Return the value of a raw record: the trade's JSON, with metadata inserted before its closing brace."""
    return b'%b,"k2_recv":%d,"k2_conn":%b,"k2_seq":%d%b%b}' % (
        trade.body[:-1],
        receive_time_us,
        msgspec.json.encode(connection),
        sequence,
        BACKFILLED if backfilled else b"",
        b',"k2_unread":%d' % unread if unread else b"",
    )


def decode(exchange: Exchange, values: Sequence[bytes | None]) -> tuple[list[Any], dict[int, str]]:
    """Decode records; returns the readable ones, in order, and the cause by index of each other one."""
    decoder = _decoder(exchange.record)
    if None not in values:
        lines = b"\n".join(values)  # type: ignore[arg-type]
        # Each value is a single line that starts and ends with a brace, so no object spans two values: if
        # the number of objects is right, there is exactly one per value.
        if lines[:1] + lines[-1:] == b"{}" and lines.count(b"}\n{") == lines.count(b"\n") == len(values) - 1:
            try:
                records = decoder.decode_lines(lines)
            except UNREADABLE:
                pass  # decode one by one, to find which is unreadable
            else:
                if len(records) == len(values):
                    return records, {}
    records, bad = [], {}
    for index, value in enumerate(values):
        try:
            records.append(decoder.decode(value or b""))
        except UNREADABLE as error:
            bad[index] = cause(error)
    return records, bad


@cache
def _decoder(record: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(record)


def cause(error: Exception) -> str:
    """Format an error as the cause of a reject, in one short line."""
    return " ".join(str(error).split())[:200]


def text(*values: Any) -> str:
    """Join the strings and integers of message fields of any type, to at most 500 characters."""
    said = (
        str(value) for value in values if type(value) is str or (type(value) is int and abs(value) < 2**64)
    )
    return " ".join(part for part in said if part)[:500]


def trades(accepted: Sequence[RawTrade], rejects: Sequence[Reject], sequence: int | None = None) -> Frame:
    """Return the frame of a trade message; it is REJECTED only if none of its trades is usable."""
    kind = Kind.REJECTED if rejects and not accepted else Kind.TRADES
    detail = rejects[0].cause if rejects else ""
    return Frame(kind, tuple(accepted), tuple(rejects), detail, sequence)


def unusable(frame: bytes, error: Exception) -> Frame:
    """Return the frame of an undecodable message: UNKNOWN if it is valid JSON, else REJECTED."""
    if isinstance(error, msgspec.ValidationError):
        try:
            msgspec.json.decode(frame, type=msgspec.Raw)
            return Frame(Kind.UNKNOWN, detail=cause(error))
        except UNREADABLE as malformed:
            error = malformed
    return Frame(Kind.REJECTED, rejects=(Reject(cause(error), frame),), detail=cause(error))
