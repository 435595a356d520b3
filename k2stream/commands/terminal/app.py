"""The terminal application: three tables that refresh, and a line that says how it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

import httpx
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Static, TabbedContent, TabPane

from k2stream.commands.terminal import overview
from k2stream.commands.terminal.overview import Rows, Screen

REFRESH_SECONDS = 1.0

TABLES: dict[str, tuple[tuple[str, ...], Callable[[Screen], Rows]]] = {
    "symbols": (overview.SYMBOLS, overview.symbol_rows),
    "pipeline": (overview.PIPELINE, overview.pipeline_rows),
    "exchanges": (overview.EXCHANGES, overview.exchange_rows),
}


class Top(App[None]):
    """Shows what `read` returns, again and again; while it fails, the last answer and why."""

    CSS = """
    #state { height: 1; padding: 0 1; }
    DataTable { height: 1fr; }
    TabPane { padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "show('symbols')", "symbols"),
        Binding("p", "show('pipeline')", "pipeline"),
        Binding("e", "show('exchanges')", "exchanges"),
        Binding("q", "quit", "quit"),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(
        self, read: Callable[[], Awaitable[Screen]], where: str, refresh: float = REFRESH_SECONDS
    ) -> None:
        super().__init__()
        self._read_overview, self._where, self._refresh_seconds = read, where, refresh
        self._state = Static(f"K2 stream  {where}  connecting", id="state", markup=False)
        self._tables: dict[str, DataTable[str]] = {
            name: DataTable(id=name, cursor_type="row", zebra_stripes=True, cell_padding=1) for name in TABLES
        }

    def compose(self) -> ComposeResult:
        """The line of state, a tab per table, and the keys."""
        yield self._state
        with TabbedContent():
            for name, table in self._tables.items():
                with TabPane(name, id=f"pane-{name}"):
                    yield table
        yield Footer()

    def on_mount(self) -> None:
        """Name the columns, and begin to read."""
        for name, (headings, _) in TABLES.items():
            self._tables[name].add_columns(*((heading, heading) for heading in headings))
        self._tables["symbols"].focus()
        self.follow()

    def action_show(self, name: str) -> None:
        """Show a table."""
        self.query_one(TabbedContent).active = f"pane-{name}"
        self._tables[name].focus()

    @work(exclusive=True)
    async def follow(self) -> None:
        """Refresh until the application ends; a service that is away is asked again."""
        while True:
            try:
                found = await self._read_overview()
            except (httpx.HTTPError, ValueError, LookupError) as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                self._say(f"no answer ({reason}), asking again", "reverse")
            else:
                self._say("SIMULATED feeds" if found.simulated else "live", "")
                for name, (_, rows) in TABLES.items():
                    fill(self._tables[name], rows(found))
            await asyncio.sleep(self._refresh_seconds)

    def _say(self, text: str, style: str) -> None:
        self._state.update(f"K2 stream  {self._where}  {text}")
        self._state.styles.text_style = style or "none"


def fill(table: DataTable[str], rows: Rows) -> None:
    """Put rows into a table, each known by its first two cells or one; the cursor stays where it is."""
    if [str(key.value) for key in table.rows] != [_key(row) for row in rows]:
        at = table.cursor_row
        table.clear()
        for row in rows:
            table.add_row(*row, key=_key(row))
        table.move_cursor(row=at)
        return
    for row in rows:
        for heading, cell in zip(table.columns, row, strict=True):
            if table.get_cell(_key(row), heading) != cell:
                table.update_cell(_key(row), heading, cell, update_width=True)


def _key(row: tuple[str, ...]) -> str:
    return "/".join(row[:2]) if row[1].isupper() else row[0]
