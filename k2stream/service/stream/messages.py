"""The messages of `/v1/stream`: what clients send, and what they get besides entries."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from k2stream.history.reader import MissingTier
from k2stream.web.query import RequestError

Id: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)] | Annotated[str, msgspec.Meta(max_length=64)]
Name: TypeAlias = Annotated[str, msgspec.Meta(max_length=64)]
Since: TypeAlias = int | Annotated[str, msgspec.Meta(max_length=20_000)] | None

LARGEST = 64 * 1024
"""The most bytes of a message from a client."""


class StreamRequest(msgspec.Struct, frozen=True, tag_field="op", tag="subscribe", forbid_unknown_fields=True):
    """A subscription; `since` is a time in ms, or the resume token of the last message."""

    id: Id
    channel: Literal["candles", "trades", "health"]
    exchange: Name = "*"
    symbol: Name = "*"
    timeframe: Name = "1m"
    tz: Name = "UTC"
    since: Since = None


class Unsubscribe(msgspec.Struct, frozen=True, tag_field="op", tag="unsubscribe", forbid_unknown_fields=True):
    """The end of a subscription."""

    id: Id


class ListAll(msgspec.Struct, frozen=True, tag_field="op", tag="list", forbid_unknown_fields=True):
    """A question for the subscriptions of the connection."""


Request: TypeAlias = StreamRequest | Unsubscribe | ListAll

_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_encoder = msgspec.json.Encoder()


def request(text: str | bytes) -> Request:
    """Parse a client's message. Raises msgspec.ValidationError for a wrong one, DecodeError for no JSON."""
    return _decoder.decode(text)


def message(op: str, **members: Any) -> bytes:
    """A message that is no entry."""
    return _encoder.encode(
        {"op": op, **{name: value for name, value in members.items() if value is not None}}
    )


def problem(error: RequestError) -> dict[str, Any]:
    """The problem document (RFC 9457) of a refusal."""
    known = {name: value for name, value in error.body.items() if name != "error"}
    title = HTTPStatus(error.status).phrase
    return {**known, "type": "about:blank", "title": title, "status": error.status, "detail": str(error)}


def missing(tiers: tuple[MissingTier, ...]) -> list[dict[str, str]] | None:
    """The tiers that might have had more history; None without any."""
    return [tier._asdict() for tier in tiers] or None


def prefix(of: Id) -> bytes:
    """How each entry's message of a subscription begins."""
    return b'{"id":' + _encoder.encode(of) + b","
