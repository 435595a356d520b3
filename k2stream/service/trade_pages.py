"""Canonical trades: `/v1/trades/{exchange}/{symbol}`."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Any, Literal

import msgspec
import pyarrow as pa
from litestar import Response, get
from litestar.params import QueryParameter

from k2stream.exchanges import REGISTRY
from k2stream.exchanges.spec import Continuity
from k2stream.history.trades import TradePage, TradePlace
from k2stream.model.decimals import plain
from k2stream.model.trade import BACKFILLED
from k2stream.service.candle_answers import NEXT, SIMULATED
from k2stream.service.formats import ARROW, JSON
from k2stream.service.items import MissingItem
from k2stream.service.parameters import Bound, Cursor, Exchange, From, Limit, Order, Symbol
from k2stream.service.sources import Sources
from k2stream.service.trades import TradeAnswer
from k2stream.web.query import DEFAULT_LIMIT, MISSING, RequestError, bounds, find

TradeId = Annotated[
    int | None,
    QueryParameter(
        name="from_id",
        ge=0,
        le=2**63 - 1,
        description="The first trades with this id or a later one, of the last 29 days.",
    ),
]
TradeFormat = Annotated[
    Literal["json", "arrow"],
    QueryParameter(name="format", description="`json`, or an Arrow IPC stream with exact decimals."),
]

_CURSOR = re.compile(r"(\d{1,16})\.(\d{1,19})\.(\d{1,19})")


class TradeItem(msgspec.Struct, frozen=True):
    """One trade; times in µs since 1970; decimals are strings with all their digits."""

    id: str
    time: int
    """The exchange's own."""
    price: str
    quantity: str
    side: str
    """The taker's: BUY or SELL."""
    trade_count: int
    """More than 1 for a record of several trades."""
    receive_time: int
    process_time: int
    sequence: int
    """The id as a number, by which trades of one time are ordered; 0 without one."""
    raw_partition: int
    raw_offset: int
    backfilled: bool
    """Whether it was fetched later over REST."""
    conditions: list[str]


class TradesAnswer(msgspec.Struct, frozen=True):
    """Trades of one symbol, ascending unless `order` says otherwise."""

    exchange: str
    symbol: str
    native_symbol: str
    simulated: bool
    complete_until: int | None
    """Time (µs) of the newest trade that is known."""
    trades: list[TradeItem]
    missing: list[MissingItem]
    next: str | None
    """The `cursor` of the next page; null at the end."""


@get("/v1/trades/{exchange:str}/{symbol:str}")
async def trades(
    sources: From,
    exchange: Exchange,
    symbol: Symbol,
    start: Bound = None,
    end: Bound = None,
    from_id: TradeId = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    order: Order = "asc",
    form: TradeFormat = "json",
) -> Response[TradesAnswer]:
    """Trades of a symbol, each once: the latest, of a span of time, or from an id on."""
    instrument = find(sources.instruments, exchange, symbol)
    if from_id is not None and REGISTRY[exchange].continuity is Continuity.NONE:
        raise RequestError(400, f"{exchange} has no trade ids: use start and end")
    if from_id is not None and order == "desc":
        raise RequestError(400, "from_id leads on from an id: use order=asc")
    first, last = (None if ms is None else ms * 1000 for ms in bounds(start, end))
    after = None if cursor is None else place_of(cursor)
    page = TradePage(limit, first, last, order == "desc", from_id, after)
    found = await sources.trades.read(instrument, page)
    following = cursor_of(found.rows) if len(found.rows) >= limit else None
    rows = found.rows
    if page.leads_back and order == "asc":
        rows = rows.take(pa.array(range(len(rows) - 1, -1, -1), pa.int64()))
    headers = _headers(sources, found, following)
    if form == "arrow":
        return Response(_stream(rows), media_type=ARROW, headers=headers)  # type: ignore[arg-type]
    answer = TradesAnswer(
        exchange,
        instrument.canonical,
        instrument.symbol,
        sources.simulated,
        found.newest,
        items(rows),
        [MissingItem(*tier) for tier in found.missing],
        following,
    )
    content: Any = msgspec.json.encode(answer)
    return Response(content, media_type=JSON, headers=headers)


def items(rows: pa.Table) -> list[TradeItem]:
    """The trades of rows with silver's columns."""
    times = ("timestamp", "receive_time", "process_time")
    columns = {
        name: (rows[name].cast(pa.int64()) if name in times else rows[name]).to_pylist()
        for name in rows.column_names
        if name not in ("vendor_data", "exchange", "symbol", "canonical_symbol")
    }
    return [
        TradeItem(
            columns["trade_id"][at],
            columns["timestamp"][at],
            plain(columns["price"][at]),
            plain(columns["quantity"][at]),
            columns["side"][at],
            columns["trade_count"][at],
            columns["receive_time"][at],
            columns["process_time"][at],
            columns["sequence"][at],
            columns["raw_partition"][at],
            columns["raw_offset"][at],
            BACKFILLED in columns["trade_conditions"][at],
            columns["trade_conditions"][at],
        )
        for at in range(len(rows))
    ]


def cursor_of(rows: pa.Table) -> str:
    """The cursor of the page after these rows."""
    time = rows["timestamp"].cast(pa.int64())[-1].as_py()
    text = f"{time}.{rows['sequence'][-1].as_py()}.{rows['raw_offset'][-1].as_py()}"
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(cursor: str) -> TradePlace:
    """Where the last page ended. Raises RequestError 400."""
    try:
        text = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode("ascii")
    except ValueError:
        text = ""
    if (found := _CURSOR.fullmatch(text)) is None or max(map(int, found.groups())) >= 2**63:
        raise RequestError(400, "cursor is not one that an answer gave as `next`")
    return TradePlace(*map(int, found.groups()))


def _stream(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows.unify_dictionaries().combine_chunks())
    return bytes(sink.getvalue())


def _headers(sources: Sources, found: TradeAnswer, following: str | None) -> dict[str, str]:
    headers = {SIMULATED: "true"} if sources.simulated else {}
    if found.missing:
        headers[MISSING] = ", ".join(tier.tier for tier in found.missing)
    if following:
        headers[NEXT] = following
    return headers


ROUTES = (trades,)
