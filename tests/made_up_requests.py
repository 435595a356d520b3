"""Requests that are made up from the service's OpenAPI document, and what each answer is held to."""

from typing import Any

from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from k2stream.model.instrument import Instruments
from k2stream.service.application import ROUTES
from k2stream.service.document import document

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def described(listed: Instruments) -> dict[str, Any]:
    """The document, with the names that exist as values of its parameters."""
    made = document(ROUTES)
    known = {
        "exchange": sorted({item.exchange for item in listed} | {"all"}),
        "timeframe": ["1m", "4h", "1d"],
    }
    known["symbol"] = sorted({item.canonical.replace("/", "-") for item in listed})
    for item in made["paths"].values():
        for parameter in item["get"].get("parameters", ()):
            if parameter["in"] == "path" and parameter["name"] in known:
                names = known[parameter["name"]]
                parameter["schema"] = {"anyOf": [{"enum": names}, {"type": "string", "minLength": 1}]}
    return made
