"""The certificate of a candle: `/v1/ohlcv/{exchange}/{symbol}/{timeframe}/{open_time}/certificate`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from litestar.params import PathParameter

from k2stream.clickhouse import certificates
from k2stream.clickhouse.agreement import reading
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.certificate import Certificate
from k2stream.model.kline_checks import KlineCheck
from k2stream.service.parameters import Exchange, From, Symbol
from k2stream.service.stores import asked
from k2stream.web.query import RequestError, find

StoredTimeframe = Annotated[str, PathParameter(description="A stored timeframe: 1m 5m 15m 30m 1h 1d.")]
OpenTime = Annotated[int, PathParameter(ge=0, lt=10**13, description="Open time in ms since 1970.")]


class CertificateAnswer(msgspec.Struct, frozen=True):
    """What a final candle was folded from, and how it compares with the exchange's own kline."""

    simulated: bool
    certificate: Certificate
    kline_check: KlineCheck | None
    """Null while it was not compared."""


@get("/v1/ohlcv/{exchange:str}/{symbol:str}/{timeframe:str}/{open_time:int}/certificate")
async def certificate(
    sources: From, exchange: Exchange, symbol: Symbol, timeframe: StoredTimeframe, open_time: OpenTime
) -> CertificateAnswer:
    """The certificate of a candle's highest revision; it is issued when the candle is final."""
    instrument = find(sources.instruments, exchange, symbol)
    if timeframe not in TIMEFRAMES:
        raise RequestError(
            404,
            f"{timeframe} is folded when it is read: its parts have certificates",
            timeframes=list(TIMEFRAMES),
        )
    stores = sources.settings.clickhouse

    def read() -> tuple[Certificate | None, KlineCheck | None]:
        of = stores.database, instrument, timeframe, open_time
        with reading(stores) as client:
            return certificates.stored(client, *of), certificates.kline_check(client, *of)

    found, check = await asked(read)
    if found is None:
        raise RequestError(
            404, "no certificate: it is issued when the candle is final, and stored a little later"
        )
    return CertificateAnswer(sources.simulated, found, check)


ROUTES = (certificate,)
