"""What the msgspec structs, named tuples and enumerations that K2 stream writes are on the wire."""

from collections.abc import Iterator
from enum import Enum
from itertools import chain
from types import UnionType
from typing import Any, Union, get_type_hints

import msgspec

OWN, SETTINGS = "k2stream.", "k2stream.settings."


def structs() -> Iterator[str]:
    """Keys of structs, places in arrays, values of enumerations; needs all modules to be imported.

    `DeadLetter.cause: str`, `LogIdentity[1] generation: int`, `EventKind = gap`. Private structs are left
    out: they read answers of exchanges; so are the settings, which are a section of their own.
    """
    kinds = [kind for kind in _all(msgspec.Struct) if kind.__module__.startswith(OWN)]
    written = [kind for kind in kinds if not kind.__module__.startswith(SETTINGS)]
    public = [kind for kind in written if not kind.__name__.startswith("_") and not _of_a_route(kind)]
    return chain.from_iterable(_members(kind) for kind in _with_nested(public))


def _of_a_route(kind: type) -> bool:
    """Whether a struct is the web framework's own, of the parameters of a route."""
    return kind.__name__.endswith("_signature_model")


def _all(kind: type) -> set[type]:
    return {kind}.union(*map(_all, kind.__subclasses__()))


def _with_nested(kinds: list[type]) -> set[type]:
    found: set[type] = set()
    waiting: list[Any] = list(kinds)
    while waiting:
        kind = waiting.pop()
        waiting += getattr(kind, "__args__", ())
        if not isinstance(kind, type) or not kind.__module__.startswith(OWN) or kind in found:
            continue
        found.add(kind)
        waiting += [hint for _, hint in _fields(kind)]
    return found


def _fields(kind: Any) -> list[tuple[str, Any]]:
    if issubclass(kind, Enum):
        return []
    hints = get_type_hints(kind)
    if issubclass(kind, msgspec.Struct):
        return [(field.encode_name, hints[field.name]) for field in msgspec.structs.fields(kind)]
    return list(hints.items())  # a named tuple's


def _members(kind: Any) -> Iterator[str]:
    label = kind.__name__
    if kind.__module__.startswith(f"{OWN}exchanges."):  # each has a NativeTrade
        label = f"{kind.__module__.rpartition('.')[2]}.{label}"
    if issubclass(kind, Enum):
        yield from (f"{label} = {member.value}" for member in kind)
    array = not issubclass(kind, msgspec.Struct) or kind.__struct_config__.array_like
    for place, (name, hint) in enumerate(_fields(kind)):
        yield f"{label}[{place}] {name}: {_spoken(hint)}" if array else f"{label}.{name}: {_spoken(hint)}"


def _spoken(hint: Any) -> str:
    """A type without modules."""
    if inner := getattr(hint, "__args__", ()):
        origin = getattr(hint, "__origin__", None)
        listed = [_spoken(each) for each in inner]
        if origin in (None, Union, UnionType):
            return " | ".join(listed)
        return f"{getattr(origin, '__name__', origin)}[{', '.join(listed)}]"
    return "None" if hint is type(None) else str(getattr(hint, "__name__", hint))
