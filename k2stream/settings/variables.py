"""Access to settings by public name, independent of the sections that contain them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

import msgspec

from k2stream.exchanges import REGISTRY
from k2stream.settings.kinds import Section
from k2stream.settings.sections import Settings

PREFIX = "K2_"


@dataclass(frozen=True, slots=True)
class Variable:
    """A setting by its public name, such as `grace_seconds`."""

    name: str
    kind: Any  # the type that msgspec converts values to
    places: tuple[tuple[str, str], ...]  # (section, field); several where sections share a setting
    exchange: str = ""  # for a field with one value per exchange

    @property
    def environment_name(self) -> str:
        """Environment variable, such as `K2_GRACE_SECONDS`."""
        return PREFIX + self.name.upper()

    def value_in(self, settings: Settings) -> Any:
        """The value of this setting."""
        section, field = self.places[0]
        value = getattr(getattr(settings, section), field)
        return value[self.exchange] if self.exchange else value


@cache
def variables() -> dict[str, Variable]:
    """All settings by public name."""
    found: dict[str, Variable] = {}
    for made in _declared():
        before = found.get(made.name)
        places = (*before.places, *made.places) if before else made.places
        found[made.name] = Variable(made.name, made.kind, places, made.exchange)
    return found


def _declared() -> Iterator[Variable]:
    for section in msgspec.structs.fields(Settings):
        if not (isinstance(section.type, type) and issubclass(section.type, Section)):
            continue
        for field in msgspec.structs.fields(section.type):
            places = ((section.name, field.name),)
            if field.encode_name.startswith("{exchange}"):
                kind = get_args(field.type)[1]
                for name in REGISTRY:
                    yield Variable(field.encode_name.format(exchange=name), kind, places, name)
            else:
                yield Variable(field.encode_name, field.type, places)


def value_of(settings: Settings, name: str) -> Any:
    """A setting by its public name. Raises KeyError for an unknown name."""
    return variables()[name].value_in(settings)


def make(**values: object) -> Settings:
    """The default settings with some values changed, by public name. Raises KeyError for an unknown name."""
    return replace(Settings(), **values)


def replace(settings: Settings, **values: object) -> Settings:
    """The settings with some values changed, by public name. Raises KeyError for an unknown name."""
    changed: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for name, value in values.items():
        variable = variables()[name]
        for section, field in variable.places:
            if variable.exchange:
                before = changed[section].get(field, getattr(getattr(settings, section), field))
                changed[section][field] = {**before, variable.exchange: value}
            else:
                changed[section][field] = value
    sections = {
        section: msgspec.structs.replace(getattr(settings, section), **fields)
        for section, fields in changed.items()
    }
    files = {name: path for name, path in settings.secret_files.items() if name not in values}
    return msgspec.structs.replace(settings, **sections, secret_files=files)


def with_secret_files(settings: Settings, files: Mapping[str, str]) -> Settings:
    """The settings, of which some secrets were read from files: children are given the files' names."""
    return msgspec.structs.replace(settings, secret_files={**settings.secret_files, **files})
