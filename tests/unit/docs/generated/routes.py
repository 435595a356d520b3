"""Routes, parameters, answers and messages, from the OpenAPI document and the structs of the streams."""

from functools import cache
from typing import Any

import msgspec

from k2stream.model.events import FeedEvent
from k2stream.service.application import ROUTES
from k2stream.service.document import document
from k2stream.service.stream.channels import PushedTrade
from k2stream.service.stream.messages import ListAll, StreamRequest, Unsubscribe
from tests.unit.docs.generated.markdown import code, docstring, field_texts, table

FROM_CLIENTS = (StreamRequest, Unsubscribe, ListAll)
FROM_SERVICE = {"trade": PushedTrade, "event": FeedEvent}
_REF = "#/components/schemas/"


@cache
def _document() -> dict[str, Any]:
    return document(ROUTES)


def kind(schema: dict[str, Any]) -> str:
    """A schema in words; one of a name is a link to its table."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF)
        return f"[{name}](#{name.lower()})"
    if options := schema.get("oneOf") or schema.get("anyOf"):
        return " or ".join(dict.fromkeys(kind(option) for option in options))
    if "enum" in schema:
        return ", ".join(map(code, schema["enum"]))
    if schema.get("type") == "array":
        if "description" in schema:
            return str(schema["description"]).rstrip(".").lower()
        items = schema.get("prefixItems")
        inside = "[" + ", ".join(map(kind, items)) + "]" if items else kind(schema.get("items", {}))
        return f"list of {inside}" if inside else "list"
    if schema.get("type") == "object" and isinstance(below := schema.get("additionalProperties"), dict):
        return f"object of {kind(below)}"
    return _bounded(schema)


def _bounded(schema: dict[str, Any]) -> str:
    name = str(schema.get("type", "any"))
    name = "text" if name == "string" else name
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{name}, {low:,.0f} to {high:,.0f}"
    if low is not None:
        return f"{name}, at least {low:,.0f}"
    return f"{name}, at most {schema['maxLength']:,} characters" if "maxLength" in schema else name


def routes() -> str:
    """Each route with its parameters and what it answers with."""
    return "\n\n".join(
        _route(path, method, operation)
        for path, item in _document()["paths"].items()
        for method, operation in item.items()
    )


def _route(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = [
        (
            code(parameter["name"]),
            parameter["in"],
            kind(parameter["schema"]).removesuffix(" or null"),
            _default(parameter),
            parameter["description"],
        )
        for parameter in operation.get("parameters", ())
    ]
    content = operation["responses"]["200"]["content"]
    answers = [kind(of["schema"]) if name.endswith("json") else code(name) for name, of in content.items()]
    parts = [f"### {method.upper()} {path}", " ".join(operation["description"].split())]
    if rows:
        parts.append(table(("parameter", "in", "type", "default", "meaning"), rows))
    parts.append(f"Answers with {' or '.join(answers)}.")
    return "\n\n".join(parts)


def _default(parameter: dict[str, Any]) -> str:
    if parameter["required"]:
        return "required"
    default = parameter["schema"].get("default")
    return "" if default is None else code(str(default).lower() if isinstance(default, bool) else default)


def objects() -> str:
    """Each object of the answers with its fields."""
    found = _document()["components"]["schemas"]
    return "\n\n".join(_object(name, schema, schema.get("description", "")) for name, schema in found.items())


def _object(name: str, schema: dict[str, Any], text: str) -> str:
    said = docstring(name) or text
    if "enum" in schema:
        return f"### {name}\n\n{said} One of {kind(schema)}."
    texts = field_texts(name)
    rows = [
        (code(field), kind(of), texts.get(field) or of.get("description", ""))
        for field, of in schema["properties"].items()
    ]
    return f"### {name}\n\n{said}\n\n{table(('field', 'type', 'meaning'), rows)}"


def messages() -> str:
    """What clients of a stream send, and what is pushed to them beside candles."""
    structs = (*FROM_CLIENTS, *FROM_SERVICE.values())
    _, found = msgspec.json.schema_components(structs, ref_template=_REF + "{name}")
    parts = []
    for struct in FROM_CLIENTS:
        schema = found[struct.__name__]
        op = schema["properties"].pop("op")["enum"][0]
        rows = [(code(name), kind(of), _member_default(of)) for name, of in schema["properties"].items()]
        parts.append(f'### `{{"op":"{op}"}}`\n\n{docstring(struct.__name__)}')
        if rows:
            parts.append(table(("member", "type", "default"), rows))
    parts += [
        _object(struct.__name__, found[struct.__name__], "").replace(
            f"### {struct.__name__}", f"### Member `{member}`"
        )
        for member, struct in FROM_SERVICE.items()
    ]
    others = found.keys() - {struct.__name__ for struct in structs}
    return "\n\n".join([*parts, *(_object(name, found[name], "") for name in sorted(others))])


def _member_default(schema: dict[str, Any]) -> str:
    if "default" not in schema:
        return "required"
    return "" if schema["default"] is None else code(schema["default"])
