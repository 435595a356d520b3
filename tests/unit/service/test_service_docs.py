"""The OpenAPI document is right, and its page needs nothing from anywhere else."""

import re
from hashlib import sha256
from importlib import resources

import pytest
from jsonschema import Draft202012Validator

from k2stream.service import document, reference
from k2stream.service.application import ROUTES

ASSETS = resources.files("k2stream.service").joinpath("assets")
OHLCV = "/v1/ohlcv/{exchange}/{symbol}/{timeframe}"


@pytest.fixture(scope="module")
def described():
    return document.document(ROUTES)


def test_every_route_says_what_it_is_and_how_it_refuses(described):
    assert described["openapi"].startswith("3.1")
    assert {OHLCV, "/v1/symbols", "/v1/status", "/health"} <= described["paths"].keys()
    for path, item in described["paths"].items():
        (operation,) = item.values()
        assert operation["description"], path
        refusal = operation["responses"]["404"]["content"]["application/problem+json"]
        assert refusal["schema"] == {"$ref": "#/components/schemas/Problem"}
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (path, parameter["name"])


def test_formats_are_described(described):
    content = described["paths"][OHLCV]["get"]["responses"]["200"]["content"]
    assert content.keys() == {"application/json", "text/csv", "application/vnd.apache.arrow.stream"}
    content = described["paths"]["/v1/trades/{exchange}/{symbol}"]["get"]["responses"]["200"]["content"]
    assert content.keys() == {"application/json", "application/vnd.apache.arrow.stream"}


def test_examples_are_as_the_schemas_say(described):
    for path, example in document.examples().items():
        if path == "problems":
            continue
        content = described["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
        schema = {**content["schema"], "components": described["components"]}
        Draft202012Validator(schema).validate(example["answer"])
        names = {parameter["name"] for parameter in described["paths"][path]["get"].get("parameters", ())}
        assert example.get("parameters", {}).keys() <= names


def test_only_where_keys_are_set_does_a_route_have_a_lock(described):
    assert "security" not in described and "securitySchemes" not in described["components"]
    keyed = document.document(ROUTES, keys=True)
    assert keyed["security"] == [{"key": []}, {"bearer": []}]
    assert keyed["paths"]["/health"]["get"]["security"] == []
    assert keyed["components"]["securitySchemes"].keys() == {"key", "bearer"}


async def test_the_document_is_served(client, described):
    answer = await client.get("/docs/openapi.json")
    assert answer.json() == described


async def test_the_page_and_all_that_it_names_are_here(client):
    page = await client.get("/docs")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert [name for name in named if not name.startswith(("/", "data:"))] == []
    for name in named:
        if name.startswith("/"):
            assert (await client.get(name)).status_code == 200, name
    missing = await client.get("/docs/assets/..%2Fdocument.py")
    assert missing.headers["content-type"] == "application/problem+json"


def test_styles_load_nothing_from_elsewhere():
    styles = ASSETS.joinpath("swagger-ui", "swagger-ui.css").read_text()
    loaded = re.findall(r"url\(\s*['\"]?([^)'\"]{0,20})", styles) + re.findall(r"@import", styles)
    assert [name for name in loaded if not name.startswith(("data:", "#"))] == []


def test_vendored_files_are_those_of_their_release():
    folder = ASSETS.joinpath("swagger-ui")
    sums = dict(line.split()[::-1] for line in folder.joinpath("SHA256SUMS").read_text().splitlines())
    assert sums.keys() == {path.name for path in folder.iterdir()} - {"SHA256SUMS", "VERSION"}
    for name, digest in sums.items():
        assert sha256(folder.joinpath(name).read_bytes()).hexdigest() == digest, name
    version = folder.joinpath("VERSION").read_text()
    assert "Apache-2.0" in version
    assert "Apache License" in folder.joinpath("LICENSE").read_text()
    assert set(reference.ASSETS) == {"docs.js", "swagger-ui.css", "swagger-ui-bundle.js"}
