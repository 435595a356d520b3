"""Exchange `all`: one candle of every exchange that trades the symbol."""

import pytest

from k2stream.history.consolidate import CONSOLIDATED
from k2stream.model import clock
from tests.unit.service.memory import candle


@pytest.fixture
def several(listed):
    """Instruments of one canonical symbol on several exchanges."""
    by = {}
    for item in listed:
        by.setdefault(item.canonical, []).append(item)
    return next(found for found in by.values() if len(found) > 1)


async def test_the_candle_of_all_exchanges_has_its_parts(client, stored, several):
    for at, item in enumerate(several):
        stored.answers[item.key, "1m"] = [candle(item, "1m", 60_000 * (minute + at)) for minute in (1, 2)]
    name = several[0].canonical.replace("/", "-")
    answer = (await client.get(f"/v1/ohlcv/{CONSOLIDATED}/{name}/1m")).json()
    assert (answer["exchange"], answer["native_symbol"]) == (CONSOLIDATED, None)
    times = [each["open_time"] // 60_000 for each in answer["candles"]]
    assert times == list(range(1, len(several) + 2))
    second = answer["candles"][1]
    assert {part["exchange"] for part in second["parts"]} == {item.exchange for item in several[:2]}
    assert (second["trade_count"], second["volume"], second["raw_offset"]) == (4, "4", None)


async def test_pages_of_all_exchanges_follow_one_another(client, stored, several):
    for at, item in enumerate(several):
        stored.answers[item.key, "1m"] = [candle(item, "1m", 60_000 * m) for m in range(1 + at, 9, 1 + at)]
    path, times, cursor = f"/v1/ohlcv/all/{several[0].canonical.replace('/', '-')}/1m", [], None
    while True:
        asked = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        answer = (await client.get(path, params=asked)).json()
        times[:0] = [each["open_time"] // 60_000 for each in answer["candles"]]
        if (cursor := answer["next"]) is None:
            break
    assert times == list(range(1, 9))


@pytest.mark.parametrize(("ago", "final"), [(5_000, False), (10_000, True)])
async def test_it_is_not_final_while_another_exchange_may_still_get_its_part(
    client, stored, several, monkeypatch, ago, final
):
    """The grace and the idle time are 5 s each."""
    monkeypatch.setattr(clock, "now_us", lambda: (2 * 60_000 + ago) * 1000)
    stored.answers[several[0].key, "1m"] = [candle(several[0], "1m", 60_000)._replace(final=True)]
    name = several[0].canonical.replace("/", "-")
    (found,) = (await client.get(f"/v1/ohlcv/{CONSOLIDATED}/{name}/1m")).json()["candles"]
    assert (found["final"], found["parts"][0]["final"]) == (final, True)


async def test_a_symbol_that_no_exchange_has(client):
    answer = await client.get(f"/v1/ohlcv/{CONSOLIDATED}/XXX-YYY/1m")
    assert (answer.status_code, "XXX-YYY" in answer.json()["detail"]) == (404, True)
