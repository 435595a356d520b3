"""The types that settings may have, and the base class of their sections."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

Positive = Annotated[int, Meta(gt=0)]
_LONGEST = 1e9
"""Seconds, 31 years: in µs it fits all integers, and an infinite duration does not."""

Seconds = Annotated[float, Meta(gt=0, le=_LONGEST)]
SecondsOrZero = Annotated[float, Meta(ge=0, le=_LONGEST)]
Port = Annotated[int, Meta(ge=0, le=65535)]
TimeOfDay = Annotated[str, Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$")]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]

WsUrl = Annotated[
    str,
    Meta(
        pattern=r"^wss?://[^/\s@]+(/.*)?$",
        extra={"url": True, "expected": "a ws:// or wss:// URL without a user"},
    ),
]
HttpUrl = Annotated[
    str,
    Meta(
        pattern=r"^(https?://[^/\s@]+(/.*)?)?$",
        extra={"url": True, "expected": "an http:// or https:// URL without a user"},
    ),
]
"""May be empty: there is none. Neither has a user: a password belongs where it is not shown."""

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

Secret = Annotated[str, Meta(extra={"secret": True})]
"""A value that is never shown, and may also be read from the file that `K2_…_FILE` names."""

SecretUrl = Annotated[str, Meta(extra={"secret": True, "url": True})]
"""A URL whose user, password and query are secret, and hidden when it is shown."""

_OF_URL = re.compile(r"(?<=://).*(?=@)|(?<=\?).*")
_HIDDEN = "***"


def micros(seconds: float) -> int:
    """Convert seconds to µs, rounded to the nearest."""
    return round(seconds * 1_000_000)


def bearer(key: str) -> dict[str, str]:
    """The headers of a request that shows a key; none without one."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def is_secret(kind: Any) -> bool:
    """Whether values of this type are secret."""
    return "secret" in _extra(kind)


def expected(kind: Any) -> str:
    """What a value of this type is, in words; empty where the type's own error says it."""
    if get_origin(kind) is Literal:
        return f"one of {', '.join(filter(None, get_args(kind)))}"
    return str(_extra(kind).get("expected", ""))


def shown(kind: Any, value: object) -> str:
    """A value as text for display, with secret parts hidden, also those that do not belong into a URL."""
    if "url" in _extra(kind):
        return _OF_URL.sub(_HIDDEN, str(value))
    return _HIDDEN if value and is_secret(kind) else str(value)


def _extra(kind: Any) -> dict[str, Any]:
    found = (meta.extra for meta in getattr(kind, "__metadata__", ()))
    return next((extra for extra in found if extra), {})


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Base class of a section: the settings that one part of the platform needs.

    A field's public name is its name as encoded by msgspec; the variable is `K2_` and that name in capitals.
    """

    def __repr__(self) -> str:
        """The fields, with secrets hidden."""
        pairs = []
        for field in msgspec.structs.fields(type(self)):
            value = getattr(self, field.name)
            pairs.append(f"{field.name}={(shown(field.type, value) if is_secret(field.type) else value)!r}")
        return f"{type(self).__name__}({', '.join(pairs)})"
