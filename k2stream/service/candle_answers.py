"""What is answered of candles: a page of one exchange's, or of all, as it is when it is read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from k2stream.history.consolidate import CONSOLIDATED, Consolidated, consolidate
from k2stream.history.reader import CandleAnswer, MissingTier
from k2stream.history.timeframes import Timeframe
from k2stream.model import clock
from k2stream.model.candle import TIMEFRAMES, Candle
from k2stream.model.instrument import Instrument
from k2stream.service.formats import JSON, WRITTEN
from k2stream.service.items import (
    CandleItem,
    CandlesAnswer,
    MissingItem,
    candle_item,
    consolidated_item,
    state_item,
)
from k2stream.service.paging import CandlePage
from k2stream.service.prepared import WholeAnswer
from k2stream.service.sources import Sources
from k2stream.web.query import MISSING, Query

NEXT, SIMULATED = "X-K2-Next", "X-K2-Simulated"

_encode = msgspec.json.Encoder().encode


class Found(NamedTuple):
    """A page of candles of one exchange or of all, and the tiers that might have had more."""

    candles: Sequence[Candle]
    missing: tuple[MissingTier, ...]
    next: str | None
    consolidated: Sequence[Consolidated] = ()


@dataclass(frozen=True, slots=True)
class CandlesAsked:
    """A page of candles as a URL asks for it, consolidated if `exchange` is `all`; `query` reads it."""

    sources: Sources
    exchange: str
    instruments: Sequence[Instrument]
    timeframe: Timeframe
    page: CandlePage
    query: Query
    final: bool
    form: str
    newest: bool = field(init=False)
    """Whether it is just the last candle of a stored timeframe."""

    def __post_init__(self) -> None:
        """See whether it is the question that is asked most."""
        one = self.page == CandlePage(1, None, None, self.page.descending) and not self.final
        plain = self.form == "json" and self.query.fill == "none" and self.exchange != CONSOLIDATED
        object.__setattr__(self, "newest", one and plain and self.timeframe.is_stored)

    async def answer(self) -> WholeAnswer:
        """The candles as they are now. Raises RequestError."""
        found = await self._read()
        if self.form == "json":
            body, kind = _encode(self._shown(self._items(found), found.missing, found.next)), JSON
        else:
            written = WRITTEN[self.form]
            body, kind = written.write(found.candles), written.content_type
        return self._whole(body, kind, found.missing, found.next)

    def at_once(self) -> WholeAnswer | None:
        """The same if it is just the last candle, and this worker has it; else None."""
        if not self.newest:
            return None
        instrument, name = self.instruments[0], self.timeframe.name
        found = self.sources.candles.newest(instrument, name)
        if found is None:
            return None
        opened, state = found
        closed = opened + TIMEFRAMES[name] - 1
        of = instrument.exchange, instrument.symbol
        item = state_item(state, of, opened, closed, self.sources.health)
        older = self.page.older(opened)
        return self._whole(_encode(self._shown([item], (), older)), JSON, (), older)

    def _whole(
        self, body: bytes, kind: str, missing: Sequence[MissingTier], following: str | None
    ) -> WholeAnswer:
        headers = {SIMULATED: "true"} if self.sources.simulated else {}
        if missing:
            headers[MISSING] = ", ".join(tier.tier for tier in missing)
        if following:
            headers[NEXT] = following
        headers["Content-Type"] = kind
        return WholeAnswer(body, headers)

    async def _read(self) -> Found:
        if self.exchange != CONSOLIDATED:
            answer = await self.sources.candles.read(self.instruments[0], self.timeframe, self.query)
            return self._cut(answer)
        answers: list[CandleAnswer] = await asyncio.gather(
            *(self.sources.candles.read(item, self.timeframe, self.query) for item in self.instruments)
        )
        now, settled = clock.now_us() // 1000, self.sources.settings.candles.settled_ms
        whole = consolidate((candle for answer in answers for candle in answer.candles), now, settled)
        kept = {row.candle.open_time: row for row in whole}
        most = self.query.limit
        merged = [row.candle for row in whole]
        merged = merged[-most:] if self.page.leads_back else merged[:most]
        rows, following = self.page.cut(merged, self._wanted(merged), most)
        missing = dict.fromkeys(tier for answer in answers for tier in answer.missing)
        return Found(rows, tuple(missing), following, [kept[row.open_time] for row in rows])

    def _cut(self, answer: CandleAnswer) -> Found:
        rows, following = self.page.cut(answer.candles, self._wanted(answer.candles), self.query.limit)
        return Found(rows, answer.missing, following)

    def _wanted(self, candles: Sequence[Candle]) -> Sequence[Candle]:
        return [candle for candle in candles if candle.final] if self.final else candles

    def _shown(
        self, items: list[CandleItem], missing: Sequence[MissingTier], following: str | None
    ) -> CandlesAnswer:
        first = self.instruments[0]
        return CandlesAnswer(
            self.exchange,
            first.canonical,
            None if self.exchange == CONSOLIDATED else first.symbol,
            self.timeframe.name,
            self.timeframe.zone.key,
            self.sources.simulated,
            items,
            [MissingItem(*tier) for tier in missing],
            None if self.query.fill != "none" else following,
        )

    def _items(self, found: Found) -> list[CandleItem]:
        health = self.sources.health
        if self.exchange != CONSOLIDATED:
            return [candle_item(row, health) for row in found.candles]
        return [consolidated_item(row, health) for row in found.consolidated]
