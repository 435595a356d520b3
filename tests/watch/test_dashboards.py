"""Each query of a dashboard returns data from the running platform."""

import asyncio
import time

import httpx
import pytest

from k2stream.clickhouse.destination import connect
from k2stream.model.candle import TIMEFRAMES
from tests import grafana
from tests.watch.servers import until

pytestmark = [pytest.mark.watch, pytest.mark.asyncio(loop_scope="session")]

DAY = 86_400_000  # ms; the candle of a day may have begun that long ago
SECONDS = 180
"""A final candle is compared with its kline after the end of its minute."""


def cases(field):
    return [pytest.param(board, query, id=name) for name, board, query in grafana.queries(field)]


@pytest.mark.parametrize(("board", "query"), cases("expr"))
async def test_a_query_returns_data(watched, board, query):
    query = grafana.promql(board, query)

    async def found():
        async with httpx.AsyncClient(base_url=watched) as client:
            answer = (await client.get("/api/v1/query", params={"query": query})).json()
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    await until(found, SECONDS)


@pytest.mark.parametrize(("board", "query"), cases("rawSql"))
async def test_a_statement_returns_rows(platform, board, query):
    """For every market that the dashboard lets choose, and for every timeframe of the first."""
    client = connect(platform.settings.clickhouse)
    client.execute(f"USE {platform.settings.clickhouse.database}")  # as the data source's defaultDatabase
    now = int(time.time() * 1000)

    def rows(text, **values):
        return client.execute(grafana.sql(text, values, now - DAY, now + DAY))

    def chosen():
        """The values that the variables offer."""
        first, second = (item["query"] for item in board["templating"]["list"] if item["type"] == "query")
        markets = [(name, symbol) for (name,) in rows(first) for (symbol,) in rows(second, exchange=name)]
        (listed,) = (item["query"] for item in board["templating"]["list"] if item["type"] == "custom")
        assert listed.split(",") == list(TIMEFRAMES)
        all_frames = [(*market, frame) for market in markets[:1] for frame in TIMEFRAMES]
        others = [(*market, "1m") for market in (markets if "${symbol" in query else markets[:1])]
        wanted = [*all_frames, *others] if "${timeframe" in query else others
        names = ("exchange", "symbol", "timeframe")
        return [dict(zip(names, each, strict=True)) for each in dict.fromkeys(wanted)]

    async def found():
        choices = await asyncio.to_thread(chosen)
        return len(choices) > 0 and all([await asyncio.to_thread(rows, query, **each) for each in choices])

    try:
        await until(found, SECONDS)
    finally:
        client.disconnect()
