"""Examines final candles: each batch of them goes to every reader in `readers`."""

from __future__ import annotations

from typing import Any

from k2stream import topics
from k2stream.agents import agreement
from k2stream.agents.certifier import certifier
from k2stream.app import create_app
from k2stream.batch import BatchSchema
from k2stream.candles import finals
from k2stream.candles.finals import FinalsReader
from k2stream.model.candle import TIMEFRAMES
from k2stream.settings import current

GATHER_SECONDS = (0.5, 0.5)  # a final candle has a minute, and large deliveries cost far less

app = create_app("certify")
app.gather_seconds = GATHER_SECONDS
readers: list[FinalsReader] = [certifier, *([agreement.monitor] if current().agreement.enabled else [])]


def declare(timeframe: str) -> None:
    """Declare the agent of one candle topic."""

    async def agent(stream: Any) -> None:
        async for batch in stream:
            found = finals.read(batch)
            for reader in readers:
                await reader.take(batch.tp.partition, found)

    agent.__doc__ = f"Final candles of {timeframe}."
    app.agent(app.topic(topics.ohlcv(timeframe), schema=BatchSchema()), name=f"certify_{timeframe}")(agent)


for each in TIMEFRAMES:
    declare(each)
