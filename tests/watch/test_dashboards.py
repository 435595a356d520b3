"""Each query of a dashboard returns data from the running platform."""

import json
from pathlib import Path

import httpx
import pytest

from tests.watch.servers import until

pytestmark = [pytest.mark.watch, pytest.mark.asyncio(loop_scope="session")]

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"
QUERIES = [
    pytest.param(target["expr"], id=f"{path.stem}: {panel['title']} {number}")
    for path in sorted(FOLDER.glob("*.json"))
    for panel in json.loads(path.read_text())["panels"]
    for number, target in enumerate(panel.get("targets", ()))
    if "expr" in target
]


@pytest.mark.parametrize("query", QUERIES)
async def test_a_query_returns_data(watched, query):
    query = query.replace("$__rate_interval", "15s").replace("$__interval", "5s")

    async def found():
        async with httpx.AsyncClient(base_url=watched) as client:
            answer = (await client.get("/api/v1/query", params={"query": query})).json()
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    await until(found, 60)
