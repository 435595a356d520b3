"""The web server of a batch app: Faust's, and pages for tables."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import msgspec
from faust.exceptions import ImproperlyConfigured
from faust.web.drivers.aiohttp import Web

from k2stream.batch._served import Row, ServedTable
from k2stream.batch._table import BatchTable
from k2stream.batch._table_pages import TablePages
from k2stream.model.errors import RequestError

if TYPE_CHECKING:
    from k2stream.batch._app import BatchApp


class BatchWeb(Web):
    """Faust's web server with ``app.web.tables()``."""

    if TYPE_CHECKING:
        app: BatchApp

    def __init__(self, app: BatchApp, **options: Any) -> None:
        self._table_pages: dict[str, TablePages] = {}
        super().__init__(app, **options)

    def tables(self, *tables: BatchTable, prefix: str = "/tables", row: Row | None = None) -> None:
        """Serve tables below ``prefix``, from every worker: what another one owns is asked of it.

        Without names, all batch tables of the app are served as they are when asked for, but those whose
        name begins with an underscore. ``row(key, value)`` returns what is shown in place of the values of
        the named tables. Further calls add to the earlier ones. Raises ImproperlyConfigured.
        """
        if self.app.conf.web_in_thread:
            raise ImproperlyConfigured("app.web.tables: web_in_thread is not supported, tables have no locks")
        if row is not None and not tables:
            raise ImproperlyConfigured("app.web.tables: name the tables that row is for")
        prefix = "/" + prefix.strip("/")
        if prefix == "/":
            raise ImproperlyConfigured("app.web.tables: prefix is empty, expected a path such as /tables")
        pages = self._table_pages.get(prefix)
        if pages is None:
            pages = self._table_pages[prefix] = TablePages(self.app, prefix)
            _add(self.app, prefix, pages)
        pages.everything |= not tables
        pages.chosen |= {table.name: ServedTable(table, row) for table in tables}


def _add(app: BatchApp, prefix: str, pages: TablePages) -> None:
    async def listing(view: Any, request: Any) -> Any:
        return await _answered(view, pages.listing(request))

    async def many(view: Any, request: Any, name: str) -> Any:
        return await _answered(view, pages.many(request, name))

    async def one(view: Any, request: Any, name: str, key: str) -> Any:
        return await _answered(view, pages.one(request, name, key))

    # The key may have slashes; the others are found with and without one at their end.
    pages_by_path: dict[str, Any] = {
        "": listing,
        "/": listing,
        "/{name}": many,
        "/{name}/": many,
        "/{name}/{key:.+}": one,
    }
    for path, page in pages_by_path.items():
        app.page(prefix + path, name=f"tables:{prefix}{path}")(page)


async def _answered(view: Any, answer: Awaitable[object]) -> Any:
    status, headers = 200, {}
    try:
        body = msgspec.json.encode(await answer)
    except RequestError as error:
        status, body = error.status, msgspec.json.encode(error.body)
        if status == 503:
            headers["Retry-After"] = "1"
    except RecursionError:
        status, body = 400, msgspec.json.encode({"error": "a parameter is nested too deeply"})
    return view.bytes(body, content_type="application/json", status=status, headers=headers)
