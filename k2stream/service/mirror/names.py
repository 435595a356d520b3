"""Names of streams: btcusdt@trade, btcusdt@kline_1m, btcusdt@kline_1d@+08:00."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from k2stream.history.timeframes import Timeframe
from k2stream.model.instrument import Instrument, Instruments
from k2stream.service.mirror.errors import MirrorError
from k2stream.service.mirror.parameters import INTERVALS, shifted

_SYMBOL = re.compile(r"[A-Za-z0-9/_.-]{1,40}")
_NAME = re.compile(r"([^@]+)@(trade|aggTrade|miniTicker|kline_([0-9]{1,2}[mhdwM])(?:@([+-][0-9:]{1,5}))?)")


class StreamKind(StrEnum):
    """What a stream sends."""

    TRADE = "trade"
    AGGREGATE = "aggTrade"
    MINI_TICKER = "miniTicker"
    KLINE = "kline"


class StreamName(NamedTuple):
    """A stream of one symbol; `text` is its name as it was sent, `timeframe` that of a kline stream."""

    text: str
    kind: StreamKind
    instrument: Instrument
    timeframe: Timeframe | None = None


def parse(text: str, listed: Instruments, exchange: str) -> StreamName | None:
    """The stream of a name; None for one that has nothing to send: of an unknown symbol, or a channel number.

    Raises MirrorError, with the API's code of an invalid request, for a stream that K2 cannot have.
    """
    symbol, at, channel = text.partition("@")
    if not at or not _SYMBOL.fullmatch(symbol):
        return None
    match = _NAME.fullmatch(text)
    if match is None or (match[3] is not None and match[3] not in INTERVALS):
        raise MirrorError(2, f"Invalid request: K2 has no stream {channel[:40]}: it follows trades only")
    instrument = listed.find(exchange, symbol)
    if instrument is None:
        return None
    if match[3] is None:
        return StreamName(text, StreamKind(match[2]), instrument)
    return StreamName(text, StreamKind.KLINE, instrument, shifted(match[3], match[4] or "0"))
