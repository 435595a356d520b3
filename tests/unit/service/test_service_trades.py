"""`/v1/trades`: pages over both stores are all trades, each once and in order."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.exchanges import REGISTRY
from k2stream.exchanges.spec import Continuity
from k2stream.history.trades import TradePage
from k2stream.layers.schema import SILVER
from k2stream.model.trade import BACKFILLED
from k2stream.service.application import create
from k2stream.service.sources import Sources
from k2stream.service.trade_history import DAY_US, KEPT_DAYS, TradeHistory, ordered
from k2stream.service.trade_pages import cursor_of, place_of
from k2stream.settings import make

NOW = (KEPT_DAYS + 3) * DAY_US
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rows_of(trades):
    """Silver's rows of (time in µs, sequence, raw offset)."""
    plain = {
        "price": Decimal("1.500000000000000001"),
        "quantity": Decimal(2),
        "side": "BUY",
        "trade_count": 1,
    }
    plain |= {"exchange": "x", "symbol": "s", "canonical_symbol": "c", "raw_partition": 0, "vendor_data": []}
    plain |= {"trade_conditions": [BACKFILLED], "validation_errors": []}
    made = [
        {**plain, "sequence": sequence, "raw_offset": offset, "trade_id": str(sequence)}
        | dict.fromkeys(("timestamp", "receive_time", "process_time"), EPOCH + timedelta(microseconds=time))
        for time, sequence, offset in trades
    ]
    columns = {field.name: [row[field.name] for row in made] for field in SILVER}
    arrays = [
        pa.array(columns[f.name], f.type.value_type).dictionary_encode()
        if pa.types.is_dictionary(f.type)
        else pa.array(columns[f.name], f.type)
        for f in SILVER
    ]
    return pa.table(arrays, SILVER)


class Warm:
    """The newest trades, as ClickHouse has them."""

    name = "ClickHouse"
    fails = False

    def __init__(self, trades):
        self.trades = sorted(trades)

    def edges(self, instrument):
        if self.fails:
            raise OSError("refused")
        return (self.trades[0][0], self.trades[-1][0]) if self.trades else None

    def page(self, instrument, page, since):
        if page.from_id is not None:
            return rows_of([trade for trade in self.trades if trade[1] >= page.from_id][: page.limit])
        end = 10**15 if page.end is None else page.end
        return ordered(rows_of(self.trades), page, max(since, page.first), end).slice(0, page.limit)


class Cold:
    """All trades by days, as Iceberg has them."""

    name = "Iceberg"

    def __init__(self, trades):
        self.trades = trades

    def days(self, instrument):
        return sorted({date(1970, 1, 1) + timedelta(days=time // DAY_US) for time, *_ in self.trades})

    def rows(self, instrument, start, end):
        return rows_of([trade for trade in self.trades if start * 1000 <= trade[0] < end * 1000][::-1])


def history(trades, kept):
    recent = Warm([trade for trade in trades if trade[0] >= kept])
    return TradeHistory(recent, lambda: Cold(trades), lambda: NOW)


times = st.one_of(st.integers(0, 5), st.sampled_from([day * DAY_US for day in range(1, KEPT_DAYS + 3)]))


@given(
    st.lists(st.tuples(times, st.integers(0, 3)), max_size=12),
    st.integers(1, 5),
    st.none() | times,
    st.none() | times,
    st.booleans(),
    times,
)
def test_all_pages_are_the_whole(made, limit, start, end, descending, kept):
    trades = [(time, sequence, offset) for offset, (time, sequence) in enumerate(made)]
    source, got, after = history(trades, kept), [], None
    for _ in range(20):
        page = TradePage(limit, start, end, descending, after=after)
        rows = source._read(None, page).rows
        got += zip(rows["sequence"].to_pylist(), rows["raw_offset"].to_pylist(), strict=True)
        if len(rows) < limit:
            break
        after = place_of(cursor_of(rows))
    wanted = sorted(trade for trade in trades if (start or 0) <= trade[0] and (end is None or trade[0] < end))
    back = TradePage(limit, start, end, descending).leads_back
    assert got == [trade[1:] for trade in (wanted[::-1] if back else wanted)]


@pytest.fixture
def trades():
    return [(NOW - at, 100 - at, 100 - at) for at in range(10)]


@pytest.fixture
async def reader(listed, health, stored, trades):
    source = history(trades, 0)
    app: Any = create(Sources(make(simulated=True), listed, stored, health, lambda: True, trade_pages=source))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as made:
        made.source = source  # type: ignore[attr-defined]
        yield made


@pytest.fixture
def path(listed):
    return {
        item.exchange: f"/v1/trades/{item.exchange}/{item.canonical.replace('/', '-')}"
        for item in listed[::-1]
    }


def numbered(kinds):
    return next(name for name, exchange in REGISTRY.items() if exchange.continuity in kinds)


async def test_the_latest_trades(reader, path, listed):
    answer = (await reader.get(path[listed[0].exchange], params={"limit": 2})).json()
    assert [trade["sequence"] for trade in answer["trades"]] == [99, 100]
    last = answer["trades"][-1]
    assert (last["price"], last["quantity"], last["side"]) == ("1.500000000000000001", "2", "BUY")
    assert (last["backfilled"], last["time"], answer["complete_until"]) == (True, NOW, NOW)
    newer = await reader.get(path[listed[0].exchange], params={"limit": 2, "cursor": answer["next"]})
    assert [trade["sequence"] for trade in newer.json()["trades"]] == [97, 98]


async def test_trades_from_an_id_on(reader, path):
    name = numbered([Continuity.CONTIGUOUS])
    answer = (await reader.get(path[name], params={"from_id": 95, "limit": 2})).json()
    assert [trade["id"] for trade in answer["trades"]] == ["95", "96"]
    without = await reader.get(path[numbered([Continuity.NONE])], params={"from_id": 1})
    assert (without.status_code, "no trade ids" in without.json()["detail"]) == (400, True)


async def test_trades_as_arrow(reader, path, listed):
    answer = await reader.get(path[listed[0].exchange], params={"format": "arrow", "order": "desc"})
    rows = pa.ipc.open_stream(answer.content).read_all()
    assert rows["sequence"].to_pylist() == list(range(100, 90, -1))
    assert rows["price"][0].as_py() == Decimal("1.500000000000000001")


async def test_a_store_that_fails_is_named(reader, path, listed):
    reader.source._recent.fails = True
    answer = await reader.get(path[listed[0].exchange], params={"limit": 3})
    assert answer.headers["x-k2-missing"] == "ClickHouse"
    assert [trade["sequence"] for trade in answer.json()["trades"]] == [98, 99, 100]


@pytest.mark.parametrize("cursor", ["x", "MS4yLjM0NQ==é", "MTAwMC4x", "OTk5OTk5OTk5OTk5OTk5OTk5OTkuMS4x"])
async def test_a_cursor_of_no_answer_is_refused(reader, path, listed, cursor):
    answer = await reader.get(path[listed[0].exchange], params={"cursor": cursor})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
