"""Pages follow one another without a gap or a repetition, whichever way they lead."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.service.paging import OPEN_WINDOWS, CandlePage
from k2stream.web.query import RequestError
from tests.unit.service.memory import candle

MINUTE = 60_000


@pytest.fixture
def path(listed):
    return f"/v1/ohlcv/{listed[0].exchange}/{listed[0].canonical.replace('/', '-')}/1m"


class Row:
    def __init__(self, open_time, final=True):
        self.open_time, self.final = open_time, final


def read(rows, query):
    inside = [
        row
        for row in rows
        if row.open_time >= (query.start or 0) and (query.end is None or row.open_time < query.end)
    ]
    return query.limited(inside)


@given(
    st.lists(st.integers(0, 60), unique=True),
    st.integers(0, 3),
    st.integers(1, 7),
    st.none() | st.integers(0, 60),
    st.none() | st.integers(0, 60),
    st.booleans(),
    st.booleans(),
)
def test_all_pages_are_the_whole(times, open_ones, limit, start, end, descending, final):
    times = sorted(times)
    rows = [Row(time, at < len(times) - open_ones) for at, time in enumerate(times)]
    page, got = CandlePage(limit, start, end, descending), []
    for _ in range(100):
        query = page.query(OPEN_WINDOWS if final else 0, "none")
        found = read(rows, query)
        part, cursor = page.cut(found, [row for row in found if row.final or not final], query.limit)
        assert len(part) <= limit
        got.append([row.open_time for row in part])
        if cursor is None:
            break
        page = page.at(cursor)
    wanted = [
        row.open_time
        for row in rows
        if row.open_time >= (start or 0) and (end is None or row.open_time < end) and (row.final or not final)
    ]
    flat = [time for part in (got if page.leads_back == descending else got[::-1]) for time in part]
    assert flat == (wanted[::-1] if descending else wanted)


@pytest.mark.parametrize("cursor", ["", "x", "YjE", "\u00e9", "Yg", "YjFiMQ", "A" * 200])
def test_a_cursor_of_no_answer_is_refused(cursor):
    with pytest.raises(RequestError, match="cursor"):
        CandlePage(1, 5, None, False).at(cursor)


async def test_a_client_reads_all_pages(client, path, stored, listed):
    stored.answers[listed[0].key, "1m"] = [candle(listed[0], "1m", MINUTE * at) for at in range(1, 8)]
    times, cursor = [], None
    while True:
        asked = {"limit": 3, "order": "desc"} | ({"cursor": cursor} if cursor else {})
        answer = (await client.get(path, params=asked)).json()
        times += [each["open_time"] // MINUTE for each in answer["candles"]]
        if (cursor := answer["next"]) is None:
            break
    assert times == [7, 6, 5, 4, 3, 2, 1]


async def test_a_format_without_room_has_the_cursor_in_a_header(client, path, stored, listed):
    stored.answers[listed[0].key, "1m"] = [candle(listed[0], "1m", MINUTE * at) for at in range(1, 8)]
    answer: httpx.Response = await client.get(path, params={"limit": 3, "start": 0, "format": "ccxt"})
    more = await client.get(
        path, params={"limit": 3, "start": 0, "format": "ccxt", "cursor": answer.headers["x-k2-next"]}
    )
    assert [row[0] // MINUTE for row in answer.json() + more.json()] == [1, 2, 3, 4, 5, 6]


async def test_only_final_candles(client, path, stored, listed):
    rows = [candle(listed[0], "1m", MINUTE * at)._replace(final=at < 6) for at in range(1, 8)]
    stored.answers[listed[0].key, "1m"] = rows
    answer = (await client.get(path, params={"limit": 1, "final": "true"})).json()
    assert [each["open_time"] // MINUTE for each in answer["candles"]] == [5]


@pytest.mark.parametrize("given_", ["fill=prev&cursor=YjE", "cursor=ZjE&order=desc", "limits=1"])
async def test_what_does_not_go_together_is_refused(client, path, given_):
    answer = await client.get(f"{path}?{given_}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_unknown_parameter_is_refused_with_those_there_are(client, path):
    body = (await client.get(path, params={"interval": "1m"})).json()
    assert body["detail"] == "interval is not a parameter"
    assert body["parameters"][:3] == ["start", "end", "limit"]
    assert {"tz", "format", "cursor", "final"} <= set(body["parameters"])
