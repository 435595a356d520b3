"""`/v1/ohlcv`: what a client gets, and what it gets when it asks for what is not there."""

import pytest

from k2stream.web.query import RequestError
from tests.unit.service.memory import candle

MINUTE = 60_000


@pytest.fixture
def first(listed):
    return listed[0]


@pytest.fixture
def path(first):
    return f"/v1/ohlcv/{first.exchange}/{first.canonical.replace('/', '-')}/1m"


@pytest.fixture(autouse=True)
def _candles(stored, first):
    stored.answers[first.key, "1m"] = [candle(first, "1m", MINUTE * at) for at in range(1, 8)]


async def test_decimals_are_text_with_their_own_digits(client, path, first):
    answer = (await client.get(path, params={"limit": 1})).json()
    assert answer["symbol"] == first.canonical
    assert answer["native_symbol"] == first.symbol
    assert answer["simulated"] is True
    (last,) = answer["candles"]
    assert (last["open"], last["close"], last["volume"]) == ("2", "2.5", "2")
    assert last["open_time"] == 7 * MINUTE
    assert last["feed_healthy"] is True


@pytest.mark.parametrize(
    "spell", [str.lower, lambda text: text.replace("/", ""), lambda text: text.replace("/", "%2F")]
)
async def test_a_symbol_may_be_spelled_in_any_common_way(client, first, spell):
    symbol = spell(first.canonical).replace("/", "%2F")
    answer = await client.get(f"/v1/ohlcv/{first.exchange}/{symbol}/1m")
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["candles"]) == 7


async def test_bounds_are_ms_or_iso_8601(client, path):
    answer = await client.get(path, params={"start": 2 * MINUTE, "end": "1970-01-01T00:04:00Z"})
    assert [each["open_time"] for each in answer.json()["candles"]] == [2 * MINUTE, 3 * MINUTE]


@pytest.mark.parametrize(
    ("target", "status", "said"),
    [
        ("/v1/ohlcv/nowhere/BTC-USDT/1m", 404, "unknown exchange nowhere"),
        ("/v1/ohlcv/{exchange}/XXX-YYY/1m", 404, "has no symbol XXX-YYY"),
        ("/v1/ohlcv/{exchange}/{symbol}/7x", 404, "7x"),
        ("/v1/ohlcv/{exchange}/{symbol}/1m?limit=0", 400, "limit"),
        ("/v1/ohlcv/{exchange}/{symbol}/1m?limit=5001", 400, "limit"),
        ("/v1/ohlcv/{exchange}/{symbol}/1m?start=yesterday", 400, "start=yesterday must be"),
        ("/v1/ohlcv/{exchange}/{symbol}/1m?start=2&end=1", 400, "start 2 is not before end 1"),
        ("/v1/ohlcv/{exchange}/{symbol}/1m?fill=next", 400, "fill"),
        ("/v1/ohlcv/{exchange}/{symbol}/1m?tz=Mars/Base", 404, "Mars/Base"),
        ("/v1/nothing", 404, "Not Found"),
    ],
)
async def test_a_refusal_is_a_problem_document(client, first, target, status, said):
    symbol = first.canonical.replace("/", "-")
    answer = await client.get(target.format(exchange=first.exchange, symbol=symbol))
    body = answer.json()
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert (answer.status_code, body["status"]) == (status, status)
    assert said in body["detail"]


async def test_a_problem_says_what_is_possible(client, listed):
    body = (await client.get("/v1/ohlcv/nowhere/BTC-USDT/1m")).json()
    assert listed[0].exchange in body["exchanges"]


async def test_a_worker_that_recovers_says_when_to_ask_again(client, path, stored):
    stored.error = RequestError(503, "the tables of this worker are recovering, ask again")
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_a_fault_of_ours_says_nothing_of_itself(client, path, stored, caplog):
    stored.error = ValueError("the secret")
    answer = await client.get(path)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "the secret" in caplog.text
    assert "Traceback" not in caplog.text


async def test_the_openapi_document_describes_the_route(client):
    document = (await client.get("/docs/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert "/v1/ohlcv/{exchange}/{symbol}/{timeframe}" in document["paths"]
