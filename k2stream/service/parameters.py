"""Parameters that several routes have."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter

from k2stream.service.sources import Sources
from k2stream.web.query import LARGEST_LIMIT

From: TypeAlias = NamedDependency[Sources]
"""What the route reads from: its argument is called `sources`."""

Exchange = Annotated[str, PathParameter(description="Name of an exchange, as `/v1/exchanges` lists them.")]
ExchangeOrAll = Annotated[
    str,
    PathParameter(description="Name of an exchange, or `all`: the candle of all exchanges, with its parts."),
]
Symbol = Annotated[
    str,
    PathParameter(description="Canonical or native symbol in any common spelling: `BTC-USDT`, `btcusdt`."),
]
TimeframeName = Annotated[
    str,
    PathParameter(
        description="A number of m, h, d, w or M: `1m`, `4h`, `1w`; 1m 5m 15m 30m 1h 1d are stored."
    ),
]
Limit = Annotated[int, QueryParameter(ge=1, le=LARGEST_LIMIT, description="The most items to answer with.")]
Bound = Annotated[
    str | None, QueryParameter(description="ms since 1970, or ISO 8601 (UTC unless it has an offset).")
]
Zone = Annotated[str, QueryParameter(name="tz", description="Time zone of the windows, e.g. `Asia/Tokyo`.")]
Fill = Annotated[
    Literal["none", "prev"],
    QueryParameter(description="`prev` fills quiet windows of a healthy feed with the previous close."),
]
Order = Annotated[
    Literal["asc", "desc"],
    QueryParameter(description="`desc`: the newest first; pages then lead back in time."),
]
Cursor = Annotated[
    str | None,
    QueryParameter(description="`next` of the last answer (header X-K2-Next), all else repeated as it was."),
]
Final = Annotated[bool, QueryParameter(description="Only final candles, which change no more by trades.")]
ExchangeFilter = Annotated[str | None, QueryParameter(name="exchange", description="Only this exchange.")]
SymbolFilter = Annotated[
    str | None, QueryParameter(name="symbol", description="Only this symbol, in any common spelling.")
]
