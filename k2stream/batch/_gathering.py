"""Gathers what the workers of an app hold of a table: from here, and over HTTP from the other owners."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from yarl import URL

from k2stream.batch import _routing as routing
from k2stream.batch._parts import TablePart
from k2stream.batch._served import ServedTable
from k2stream.batch._table import BatchTable
from k2stream.model.errors import RequestError

if TYPE_CHECKING:
    from k2stream.batch._app import BatchApp

OWNER_SECONDS = 10.0
"""How long another worker may take to answer."""

Counts = dict[int, int]
"""Entries by partition."""

ReadPart = Callable[[BatchTable, frozenset[int]], Awaitable[TablePart]]
"""Reads partitions of a table, which is the worker's own or an earlier state of it."""


class Gathering:
    """Reads partitions wherever they are. A forwarded request is answered from here alone, or refused."""

    def __init__(self, app: BatchApp) -> None:
        self._app = app

    def here(self, table: BatchTable) -> frozenset[int]:
        """Return the partitions that this worker owns and has recovered."""
        return table.active_partitions if self._holds() else frozenset()

    async def parts(
        self, request: Any, table: BatchTable, partitions: frozenset[int], read: ReadPart
    ) -> list[TablePart]:
        """Return partitions as the parts that each owner gives of them.

        Raises RequestError: 503 while one is moving or recovering, 502 when its owner does not answer.
        """
        self._must_hold()
        here = partitions & table.active_partitions
        if routing.FORWARDED in request.headers:
            if here != partitions:
                raise routing.moving()
            return [await self._own(table, here, read)]
        owners = self._owners(table, partitions - here)
        asked = [self._asked(_page(request, worker, parts), TablePart) for worker, parts in owners.items()]
        own, *others = await asyncio.gather(self._own(table, here, read), *asked)
        return [own, *others]

    async def counts(
        self, request: Any, tables: Mapping[str, ServedTable]
    ) -> dict[str, Counts | RequestError]:
        """Return the entries of each table by partition, or why not all of them are known."""
        answers: list[dict[str, Counts]] = []
        failures: list[RequestError] = []
        try:
            answers.append(self.own_counts(tables))
        except RequestError as error:
            failures.append(error)
        others = {URL(url) for url in self._app.router.tables_metadata()} - {self._app.conf.canonical_url}
        asked = [self._asked(routing.at(worker, request.url), dict[str, Counts]) for worker in others]
        for found in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(found, RequestError):
                failures.append(found)
            elif isinstance(found, BaseException):
                raise found
            else:
                answers.append(found)
        return {name: _whole(name, served.partitions, answers, failures) for name, served in tables.items()}

    def own_counts(self, tables: Mapping[str, ServedTable]) -> dict[str, Counts]:
        """Return the entries of each table by partition of this worker; RequestError 503 in recovery."""
        self._must_hold()
        return {name: counts(served.table, self.here(served.table)) for name, served in tables.items()}

    async def _own(self, table: BatchTable, partitions: frozenset[int], read: ReadPart) -> TablePart:
        """Read what is here; a rebalance meanwhile may have taken it away."""
        before = self._app.rebalancing_count
        part = await read(table, partitions)
        if self._app.rebalancing_count != before or not self._holds():
            raise routing.moving()
        return part

    async def _asked(self, target: URL, kind: Any) -> Any:
        """Ask another worker; raises RequestError as it refused, and 502 for an answer of another kind."""
        answer = await routing.ask(self._app, target, OWNER_SECONDS)
        try:
            if answer.status == 200:
                return msgspec.json.decode(answer.body, type=kind)
            body = msgspec.json.decode(answer.body, type=dict[str, Any])
            message = str(body.pop("error"))
        except (ValueError, KeyError):
            raise RequestError(502, f"the worker at {target.origin()} does not serve this page") from None
        raise RequestError(answer.status, message, **body)

    def _owners(self, table: BatchTable, partitions: Iterable[int]) -> dict[URL, set[int]]:
        """Return the partitions by the other worker that owns them."""
        owners: dict[URL, set[int]] = {}
        for partition in sorted(partitions):
            worker = routing.owner(self._app, table, partition)
            if worker == self._app.conf.canonical_url:
                raise routing.moving()
            owners.setdefault(worker, set()).add(partition)
        return owners

    def _holds(self) -> bool:
        return routing.is_ready(self._app) and not self._app.should_stop

    def _must_hold(self) -> None:
        if not self._holds():
            raise RequestError(503, "the tables of this worker are recovering, ask again")


def counts(table: BatchTable, partitions: Iterable[int]) -> Counts:
    """Return the entries of partitions."""
    return {partition: len(table.partition_items(partition)) for partition in partitions}


def _page(request: Any, worker: URL, partitions: Iterable[int]) -> URL:
    listed = ",".join(map(str, sorted(partitions)))
    return routing.at(worker, request.url).update_query(partition=listed)


def _whole(
    name: str, partitions: int, answers: Iterable[Mapping[str, Counts]], failures: list[RequestError]
) -> Counts | RequestError:
    found: Counts = {}
    for answer in answers:
        found |= answer.get(name, {})
    if found.keys() >= set(range(partitions)):
        return found
    return failures[0] if failures else routing.moving()
