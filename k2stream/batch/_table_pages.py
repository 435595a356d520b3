"""What the pages of tables answer: one entry, a page of entries, or the tables themselves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from k2stream.batch import _queries as queries
from k2stream.batch._gathering import Counts, Gathering, ReadPart, counts
from k2stream.batch._key_text import order
from k2stream.batch._parts import TableEntry, TablePart, merge
from k2stream.batch._past import PastPartition, PastReader
from k2stream.batch._restore import uncertainties
from k2stream.batch._routing import FORWARDED
from k2stream.batch._served import ServedTable
from k2stream.batch._table import BatchTable
from k2stream.model.errors import RequestError

if TYPE_CHECKING:
    from k2stream.batch._app import BatchApp


class TablePages:
    """The pages below one prefix: of the chosen tables, and with `everything` of all the app has."""

    def __init__(self, app: BatchApp, prefix: str) -> None:
        self.chosen: dict[str, ServedTable] = {}
        self.everything = False
        self._app, self._prefix = app, prefix
        self._gathering, self._past = Gathering(app), PastReader(app)

    def served(self) -> dict[str, ServedTable]:
        """Return the tables that are served now, by name; none with a leading underscore unless chosen."""
        found = dict(self.chosen)
        if self.everything:
            for name, table in self._app.tables.items():
                if isinstance(table, BatchTable) and not name.startswith("_"):
                    found.setdefault(name, ServedTable(table))
        return found

    async def one(self, request: Any, name: str, key: str) -> object:
        """Answer with the entry of a key."""
        served = self._find(name)
        queries.check(request.query, queries.GETTING)

        async def read(held: BatchTable, partitions: frozenset[int]) -> TablePart:
            return served.get(held, partitions, key)

        def name_of(raw: bytes) -> str | None:
            return key if served.name_of(raw) == key else None

        part, said = await self._part(request, served, served.partitions, read, name_of)
        if FORWARDED in request.headers:
            return part
        if not part.entries:
            raise RequestError(404, _unknown(served, key), entries=f"{self._prefix}/{name}/", **said)
        if len(part.entries) > 1 or part.upto is not None:
            having = [entry.partition for entry in part.entries]
            message = f"several partitions have {key}: choose one with partition="
            raise RequestError(409, message, partitions=having, **said)
        return {"table": name, **said, **_fields(part.entries[0])}

    async def many(self, request: Any, name: str) -> object:
        """Answer with a page of entries in key order."""
        served = self._find(name)
        queries.check(request.query, queries.WINDOWS if served.windowed else queries.RANGE)
        wanted = queries.range_of(request.query, served.windowed)

        async def read(held: BatchTable, partitions: frozenset[int]) -> TablePart:
            return await served.range(held, partitions, wanted)

        def name_of(raw: bytes) -> str | None:
            place = served.place_of(raw)
            return served.name_of(raw) if wanted.has(place, order(place), served.partitions) else None

        part, said = await self._part(request, served, wanted.limit, read, name_of)
        if FORWARDED in request.headers:
            return part
        following = None
        if part.upto is not None:
            after = msgspec.json.encode(part.upto).decode()
            following = str(request.rel_url.update_query(after=after))
        return {"table": name, **said, "entries": part.entries, "next": following}

    async def listing(self, request: Any) -> object:
        """Answer with the tables: their partitions, how many entries, and which partitions are here."""
        queries.check(request.query, queries.LISTING)
        at = queries.moment_of(request.query, _now_ms())
        tables = self.served()
        if FORWARDED in request.headers:
            return self._gathering.own_counts(tables)
        if at is None:
            found = await self._gathering.counts(request, tables)
        else:
            until = self._past.deadline()
            found = {name: await self._counts_at(served, at, until) for name, served in tables.items()}
        said = {} if at is None else {"at": at}
        shown = [self._about(served, found[name]) for name, served in tables.items()]
        return {"worker": str(self._app.conf.canonical_url), **said, "tables": shown}

    def _about(self, served: ServedTable, found: Counts | RequestError) -> dict[str, object]:
        about: dict[str, object] = {"name": served.table.name, "help": served.table.help}
        if served.size is not None:
            about["window_seconds"] = served.size
        about |= {"partitions": served.partitions, "here": sorted(self._gathering.here(served.table))}
        if isinstance(found, RequestError):
            return {**about, "entries": None, "error": str(found)}
        return {**about, "entries": sum(found.values())}

    async def _counts_at(self, served: ServedTable, at: int, until: float) -> Counts | RequestError:
        async def read(past: PastPartition) -> Counts:
            return counts(past.table, [past.partition])

        try:
            found, _ = await self._past.read(served.table, range(served.partitions), at, read, until)
        except RequestError as error:
            return error
        return {number: count for part in found for number, count in part.items()}

    async def _part(
        self,
        request: Any,
        served: ServedTable,
        limit: int,
        read: ReadPart,
        name_of: Callable[[bytes], str | None],
    ) -> tuple[TablePart, dict[str, object]]:
        """Return what was asked for, now or at a past time, and what the answer says of that time."""
        wanted = queries.partitions_of(request.query, served.partitions)
        at = queries.moment_of(request.query, _now_ms())
        if at is None:
            parts = await self._gathering.parts(request, served.table, wanted, read)
            return merge(parts, limit), {}

        async def read_past(past: PastPartition) -> TablePart:
            return await read(past.table, frozenset((past.partition,)))

        parts, reach = await self._past.read(served.table, sorted(wanted), at, read_past)
        return merge(parts, limit), {
            "at": at,
            "notes": uncertainties(reach, name_of),
        }

    def _find(self, name: str) -> ServedTable:
        tables = self.served()
        if name not in tables:
            raise RequestError(404, f"there is no table {name} here", tables=list(tables))
        return tables[name]


def _unknown(served: ServedTable, key: str) -> str:
    name = served.table.name
    if served.windowed and "@" not in key:
        return f"a key of table {name} is KEY@START; its list has the windows of one with ?key={key}"
    return f"table {name} has no key {key}"


def _fields(entry: TableEntry) -> dict[str, object]:
    fields = msgspec.structs.asdict(entry)
    return {name: value for name, value in fields.items() if value is not msgspec.UNSET}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
