"""The human page of the OpenAPI document, at `/docs`: all that it needs is in this package."""

from __future__ import annotations

from functools import cache
from importlib import resources

from litestar import MediaType, Response, get
from litestar.params import FromPath

from k2stream.web.query import RequestError

POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'"
"""The page loads nothing from other hosts, and browsers see to it."""

CACHED = "public, max-age=86400"

ASSETS = {
    "docs.js": ("docs.js", "text/javascript"),
    "swagger-ui.css": ("swagger-ui/swagger-ui.css", "text/css"),
    "swagger-ui-bundle.js": ("swagger-ui/swagger-ui-bundle.js", "text/javascript"),
}
"""Files by their name in a URL: the path below assets/, and the media type."""


@cache
def _content(path: str) -> bytes:
    return resources.files("k2stream.service").joinpath("assets", *path.split("/")).read_bytes()


@get("/docs", include_in_schema=False)
async def page() -> Response[bytes]:
    """The page."""
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
    return Response(_content("docs.html"), media_type=MediaType.HTML, headers=headers)


@get("/docs/assets/{name:str}", include_in_schema=False)
async def asset(name: FromPath[str]) -> Response[bytes]:
    """A file that the page needs. Raises RequestError 404."""
    if name not in ASSETS:
        raise RequestError(404, f"there is no file {name}", files=list(ASSETS))
    path, media_type = ASSETS[name]
    headers = {"Cache-Control": CACHED, "X-Content-Type-Options": "nosniff"}
    return Response(_content(path), media_type=media_type, headers=headers)


ROUTES = (page, asset)
