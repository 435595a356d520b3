"""The page for people, at `/`: plain modules and two vendored libraries, nothing from another host."""

from __future__ import annotations

from functools import cache
from pathlib import Path, PurePosixPath
from typing import Annotated

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import PathParameter

FOLDER = Path(__file__).with_name("page")
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "Cache-Control": "no-cache",  # asked for each time, answered with 304
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@cache
def assets() -> dict[str, bytes]:
    """The files of the page by their path below its folder, read once."""
    paths = (path for path in sorted(FOLDER.rglob("*")) if path.suffix in TYPES)
    return {str(PurePosixPath(path.relative_to(FOLDER))): path.read_bytes() for path in paths}


@get("/", include_in_schema=False, sync_to_thread=False)
def index() -> Response[bytes]:
    """The page."""
    return _answer("index.html")


@get("/page/{name:path}", include_in_schema=False, sync_to_thread=False)
def file(name: Annotated[str, PathParameter()]) -> Response[bytes]:
    """A file of the page."""
    return _answer(str(name).lstrip("/"))


def _answer(name: str) -> Response[bytes]:
    found = assets().get(name)
    if found is None:
        raise NotFoundException(f"the page has no file {name}")
    return Response(found, media_type=TYPES[PurePosixPath(name).suffix], headers=HEADERS)


ROUTES = (index, file)
