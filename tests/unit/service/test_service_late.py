"""`/v1/late`: what is asked of the store, and what is said of its answer."""

import pytest

from k2stream.clickhouse import late as stored
from k2stream.clickhouse.late import LateMinute


@pytest.fixture
def asked(monkeypatch):
    made = []

    def minutes(settings, instrument, start, end, limit):
        made.append((instrument.key, end - start, limit))
        return [LateMinute(1_799_999_940_000, 3)]

    monkeypatch.setattr(stored, "minutes", minutes)
    return made


async def test_minutes_with_late_trades(client, asked, listed):
    symbol = listed[0].canonical.replace("/", "-")
    answer = (await client.get(f"/v1/late/{listed[0].exchange}/{symbol}?limit=7")).json()
    assert answer["minutes"] == [{"open_time": 1_799_999_940_000, "trades": 3}]
    assert (answer["symbol"], answer["native_symbol"]) == (listed[0].canonical, listed[0].symbol)
    assert asked == [(listed[0].key, 86_400_000, 7)]


@pytest.mark.parametrize(
    ("query", "status"), [("start=9&end=5", 400), ("limit=0", 400), ("limit=6000", 400), ("x=1", 400)]
)
async def test_what_cannot_be_answered(client, asked, listed, query, status):
    answer = await client.get(
        f"/v1/late/{listed[0].exchange}/{listed[0].canonical.replace('/', '-')}?{query}"
    )
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_without_a_store_the_answer_is_a_problem(client, listed):
    answer = await client.get(f"/v1/late/{listed[0].exchange}/{listed[0].canonical.replace('/', '-')}")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
