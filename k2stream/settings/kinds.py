"""What a setting may be, and what each section of them has in common."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Positive = Annotated[int, Meta(gt=0)]
Seconds = Annotated[float, Meta(gt=0)]
Port = Annotated[int, Meta(ge=0, le=65535)]
TimeOfDay = Annotated[str, Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$")]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]

Secret = Annotated[str, Meta(extra={"secret": True})]
"""Never shown, and also read from the file that `K2_…_FILE` names."""

SecretUrl = Annotated[str, Meta(extra={"secret": True, "url": True})]
"""A URL that may hold a user and a password: only these, and its query, are secret."""

_OF_URL = re.compile(r"(?<=://).*(?=@)|(?<=\?).*")
_HIDDEN = "***"


def micros(seconds: float) -> int:
    """Seconds in whole µs, the nearest: the one place where settings are converted."""
    return round(seconds * 1_000_000)


def is_secret(kind: Any) -> bool:
    """Whether values of this kind are secret."""
    return "secret" in _extra(kind)


def shown(kind: Any, value: object) -> str:
    """A value as people may see it."""
    if not value or not is_secret(kind):
        return str(value)
    return _OF_URL.sub(_HIDDEN, str(value)) if "url" in _extra(kind) else _HIDDEN


def _extra(kind: Any) -> dict[str, Any]:
    found = (meta.extra for meta in getattr(kind, "__metadata__", ()))
    return next((extra for extra in found if extra), {})


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that one part of the platform needs.

    The name of a field as msgspec encodes it is its public name: `K2_` and that in capitals is the variable.
    """

    def __repr__(self) -> str:
        """Its fields, without what is secret."""
        pairs = []
        for field in msgspec.structs.fields(type(self)):
            value = getattr(self, field.name)
            pairs.append(f"{field.name}={(shown(field.type, value) if is_secret(field.type) else value)!r}")
        return f"{type(self).__name__}({', '.join(pairs)})"
