"""`k2 schemas`: the Avro schemas of the topics, from the files and from the registry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import click
import httpx
from rich.console import Console, Group, RenderableType
from rich.text import Text

from k2stream import topics
from k2stream.avro import wire
from k2stream.commands.output import Printer, printed
from k2stream.commands.views.rows import rows_shown
from k2stream.model.errors import ConfigError
from k2stream.platform.running import reached
from k2stream.resources import SCHEMAS
from k2stream.settings import KafkaSettings, current

_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class SubjectSchema:
    """The schema of a topic's values: its fields in the file, and its versions in the registry.

    `versions` is None where no registry answered. `agrees` is whether the newest version is the file.
    """

    subject: str
    schema: str
    fields: dict[str, str]
    versions: list[int] | None
    agrees: bool | None


@click.command()
@click.option("--fields", is_flag=True, help="Also list the fields with their types.")
@printed
def schemas(fields: bool, *, out: Printer) -> None:
    """List the Avro subjects with their versions in the registry, and whether it has what the files say.

    Where no registry answers, only what the files of schemas/avro/ say.
    """
    settings = reached(current()).kafka
    try:
        base = settings.registry_url.rstrip("/") + "/"
        with httpx.Client(base_url=base, timeout=_SECONDS, **settings.registry.connection) as registry:
            found = [subject_schema(*pair, _versions(registry, pair[0])) for pair in _subjects(settings)]
        answered = True
    except (httpx.HTTPStatusError, ValueError) as error:
        raise ConfigError(
            f"schema registry {settings.registry_url} gave no answer that can be used ({_line(error)}): "
            "correct K2_REGISTRY_URL, K2_REGISTRY_USERNAME and K2_REGISTRY_PASSWORD"
        ) from None
    except httpx.TransportError:
        found = [subject_schema(*pair, None) for pair in _subjects(settings)]
        answered = False
    value = {"registry": settings.registry_url if answered else None, "subjects": list(map(asdict, found))}
    out.show(value, partial(_shown, found, fields))
    if not answered:
        out.note(f"no schema registry at {settings.registry_url}: this is what the files say")


def _subjects(settings: KafkaSettings) -> list[tuple[str, str]]:
    """Each subject with the name of its schema's file."""
    return [
        (f"{topic.name}-value", topic.schema)
        for topic in topics.declared(settings)
        if (SCHEMAS / "avro" / f"{topic.schema}.avsc").exists()
    ]


def subject_schema(subject: str, name: str, versions: Mapping[int, Any] | None) -> SubjectSchema:
    """A subject's schema; `versions` are those of the registry, of which the newest matters, by number."""
    fields = {field["name"]: _type_text(field["type"]) for field in wire.declared(name)["fields"]}
    agrees = None
    if versions:
        agrees = wire.layout(versions[max(versions)]) == wire.layout(wire.declared(name))
    return SubjectSchema(subject, name, fields, None if versions is None else sorted(versions), agrees)


def _versions(registry: httpx.Client, subject: str) -> dict[int, Any]:
    answer = registry.get(f"subjects/{subject}/versions")
    if answer.status_code == httpx.codes.NOT_FOUND:
        return {}
    numbers = answer.raise_for_status().json()
    newest = registry.get(f"subjects/{subject}/versions/{max(numbers)}").raise_for_status().json()
    return {**dict.fromkeys(numbers), max(numbers): json.loads(newest["schema"])}


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


def _type_text(kind: Any) -> str:
    """An Avro type in a few words."""
    if isinstance(kind, list):
        return " or ".join(map(_type_text, kind))
    if not isinstance(kind, dict):
        return str(kind)
    if kind.get("logicalType") == "decimal":
        return f"decimal({kind['precision']}, {kind['scale']})"
    if inner := kind.get("items") or kind.get("values"):
        return f"{kind['type']} of {_type_text(inner)}"
    return str(kind.get("logicalType", kind["type"]))


def _shown(found: Sequence[SubjectSchema], fields: bool, console: Console) -> RenderableType:
    parts = [rows_shown(list(map(_row, found)), console)]
    if fields:
        for name, subject in {item.schema: item for item in found}.items():
            listed = [{name: field, "type": kind} for field, kind in subject.fields.items()]
            parts += [Text(), rows_shown(listed, console)]
    return Group(*parts)


def _row(item: SubjectSchema) -> dict[str, str]:
    unknown = "" if item.versions is None else "not registered: `k2 migrate`"
    said = {True: "yes", False: "no: `k2 migrate`", None: unknown}
    versions = ", ".join(map(str, item.versions or ()))
    named = {"subject": item.subject, "schema": item.schema, "fields": str(len(item.fields))}
    return {**named, "versions": versions, "as the file": said[item.agrees]}
