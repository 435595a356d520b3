"""`/v1/trades`: pages over the topic and both stores are all trades, each once and in order."""

import asyncio
import threading
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.clickhouse.recent_trades import HeldTrades
from k2stream.exchanges import REGISTRY
from k2stream.exchanges.spec import Continuity
from k2stream.history.reader import MissingTier
from k2stream.history.trades import WIDTHS_US, TradePage
from k2stream.model.trade import BACKFILLED
from k2stream.service.application import create
from k2stream.service.mirror.trades import numbered as mirrored
from k2stream.service.sources import Sources
from k2stream.service.stream.published import TopicTrades
from k2stream.service.trade_pages import cursor_of, place_of
from k2stream.service.trade_rows import ordered
from k2stream.service.trades import DAY_US, KEPT_DAYS, LAGGING, NoTrades, TradeHistory
from k2stream.settings import make
from k2stream.web.query import RequestError
from tests.unit.service.memory import silver_rows

NOW = (KEPT_DAYS + 3) * DAY_US
ANY: Any = None


def rows_of(trades):
    """Silver's rows of (time in µs, sequence, raw offset)."""
    price = Decimal("1.500000000000000001")
    return silver_rows(
        {
            "timestamp": time,
            "sequence": sequence,
            "raw_offset": offset,
            "trade_id": str(sequence),
            "price": price,
            "trade_conditions": [BACKFILLED],
        }
        for time, sequence, offset in trades
    )


@dataclass
class Newest:
    """The trades of the topic by offset; it holds those from `floor` on."""

    trades: list
    floor: int = 0
    fails: bool = False

    def partition(self, instrument):
        return 0

    async def after(self, instrument, offset):
        if self.fails:
            raise OSError("refused")
        first = max(offset + 1, self.floor)
        return TopicTrades(rows_of(self.trades[first:]), first == offset + 1)


@dataclass
class Warm:
    """The trades that ClickHouse has; it surely has the topic's up to an offset."""

    trades: list
    position: int = -1
    name: str = "ClickHouse"
    fails: bool = False
    asked: list = field(default_factory=list)
    begun: int = 0

    def held(self, instrument, partition):
        if self.fails:
            raise OSError("refused")
        times = [time for time, *_ in self.trades]
        held = HeldTrades(min(times, default=None), max(times, default=None), self.position)
        return held._replace(begun=self.begun)

    def page(self, instrument, page, since):
        self.asked.append(page)
        end = page.last(10**15)
        return ordered(rows_of(self.trades), page, max(since, page.first), end).slice(0, page.limit)


@dataclass
class Cold:
    """All trades by days, as Iceberg has them."""

    trades: list
    name: str = "Iceberg"
    asked: list = field(default_factory=list)

    def days(self, instrument):
        return sorted({date(1970, 1, 1) + timedelta(days=time // DAY_US) for time, *_ in self.trades})

    def rows(self, instrument, start, end):
        self.asked.append((start, end))
        return rows_of([trade for trade in self.trades if start * 1000 <= trade[0] < end * 1000][::-1])


def history(trades, kept=0, written=None, position=None, floor=0):
    """Trades in the order of the topic: `written` of them are in ClickHouse, but not those before `kept`."""
    written = len(trades) if written is None else written
    recent = Warm(
        [trade for trade in trades[:written] if trade[0] >= kept],
        (written if position is None else position) - 1,
    )
    return TradeHistory(Newest(trades, floor), recent, lambda: Cold(trades[:written]), lambda: NOW)


times = st.one_of(st.integers(0, 5), st.sampled_from([day * DAY_US for day in range(1, KEPT_DAYS + 3)]))


@st.composite
def seams(draw, trades):
    """Where ClickHouse and the topic meet: what is written, known to be written, and held of the topic."""
    written = draw(st.integers(0, len(trades)))
    position = draw(st.integers(0, written))
    kept = draw(times)
    if any(time < kept for time, *_ in trades[written:]):
        kept = 0  # what is not written anywhere is only in the topic: its time does not matter then
    return {"kept": kept, "written": written, "position": position, "floor": draw(st.integers(0, position))}


made_trades = st.lists(st.tuples(times, st.integers(0, 3)), max_size=12).map(
    lambda made: [(time, sequence, offset) for offset, (time, sequence) in enumerate(made)]
)


async def all_pages(data, trades, page):
    """What a client gets that follows the cursors, while the sink goes on: the seams move."""
    got, after = [], None
    for _ in range(20):
        source = history(trades, **data.draw(seams(trades)))
        asked = TradePage(page.limit, page.start, page.end, page.descending, page.from_id, after)
        answer = await source.read(ANY, asked)
        assert answer.missing == ()
        rows = answer.rows
        got += zip(rows["sequence"].to_pylist(), rows["raw_offset"].to_pylist(), strict=True)
        if len(rows) < page.limit:
            return got
        after = place_of(cursor_of(rows))
    raise AssertionError(got)


@given(st.data(), made_trades, st.integers(1, 5), st.none() | times, st.none() | times, st.booleans())
async def test_all_pages_are_the_whole(data, trades, limit, start, end, descending):
    page = TradePage(limit, start, end, descending)
    wanted = sorted(trade for trade in trades if (start or 0) <= trade[0] and (end is None or trade[0] < end))
    ordered = wanted[::-1] if page.leads_back else wanted
    assert await all_pages(data, trades, page) == [trade[1:] for trade in ordered]


@given(st.data(), made_trades, st.integers(1, 5), st.integers(0, 4))
async def test_all_pages_from_a_number_on_are_in_its_order(data, trades, limit, first):
    recent = [(NOW - time % DAY_US, *rest) for time, *rest in trades]
    numbers = sorted((sequence or offset, offset) for _, sequence, offset in recent)
    got = await all_pages(data, recent, TradePage(limit, from_id=first))
    assert [(sequence or offset, offset) for sequence, offset in got] == [
        at for at in numbers if at[0] >= first
    ]


@given(made_trades.filter(bool), st.data())
async def test_a_hole_between_clickhouse_and_the_topic_is_told(trades, data):
    written = data.draw(st.integers(0, len(trades) - 1))
    floor = data.draw(st.integers(written + 1, len(trades)))
    answer = await history(trades, written=written, floor=floor).read(ANY, TradePage(len(trades), 0))
    held = trades[:written] + trades[floor:]
    assert answer.rows["raw_offset"].to_pylist() == [offset for *_, offset in sorted(held)]
    assert answer.missing == (MissingTier("ClickHouse", LAGGING),)
    assert answer.newest == max((time for time, *_ in trades[:written]), default=None)


async def test_a_page_looks_no_further_back_than_it_must(trades):
    old = [(NOW - 2 * DAY_US - at, 50 - at, 50 - at) for at in range(10)]
    warm = Warm([*trades, *old])
    source = TradeHistory(Newest([]), warm, lambda: Cold([]), lambda: NOW)
    assert (await source.read(ANY, TradePage(5))).rows["sequence"].to_pylist() == list(range(100, 95, -1))
    assert [page.start for page in warm.asked] == [NOW + 1 - 3_600_000_000]
    found = await source.read(ANY, TradePage(5, 1))
    assert found.rows["sequence"].to_pylist() == list(range(41, 46))
    assert [page.end for page in warm.asked[1:]] == [old[-1][0] + 3_600_000_000]
    assert len((await source.read(ANY, TradePage(11))).rows) == 11
    assert [page.start for page in warm.asked[2:]] == [NOW + 1 - width for width in WIDTHS_US] + [None]


async def test_old_trades_hold_up_nobody(trades):
    entered, leave = threading.Event(), threading.Event()

    class Slow(Cold):
        def days(self, instrument):
            entered.set()
            leave.wait(20)
            return super().days(instrument)

    source = TradeHistory(Newest([]), Warm(trades), lambda: Slow(trades), lambda: NOW)
    old = asyncio.create_task(source.read(ANY, TradePage(5, 0)))
    assert await asyncio.to_thread(entered.wait, 20)
    async with asyncio.timeout(60):
        assert len((await source.read(ANY, TradePage(5))).rows) == 5
    assert not old.done()
    leave.set()
    assert len((await old).rows) == 5


async def test_recent_pages_leave_the_cold_store_alone(trades):
    cold = Cold(trades)
    source = TradeHistory(Newest([]), Warm([]), lambda: cold, lambda: NOW)
    for page in (TradePage(5, recent=True), TradePage(5, from_id=1)):
        assert len((await source.read(ANY, page)).rows) == 0
    assert cold.asked == []
    assert len((await source.read(ANY, TradePage(5))).rows) == 5


async def test_a_topic_that_fails_is_named(trades):
    source = TradeHistory(Newest([], fails=True), Warm(trades), lambda: Cold([]), lambda: NOW)
    answer = await source.read(ANY, TradePage(2))
    assert answer.rows["sequence"].to_pylist() == [100, 99]
    assert answer.missing == (MissingTier("topic", "refused"),)


async def test_without_clickhouse_the_topic_has_the_newest(trades):
    topic = [(NOW + 1, 101, 101), (NOW + 2, 102, 102)]
    source = TradeHistory(Newest(topic), Warm([], fails=True), lambda: Cold(trades), lambda: NOW)
    answer = await source.read(ANY, TradePage(3))
    assert answer.rows["sequence"].to_pylist() == [102, 101, 100]
    assert [tier.tier for tier in answer.missing] == ["ClickHouse"]


async def test_without_a_reader_trades_are_unavailable():
    with pytest.raises(RequestError) as raised:
        await NoTrades().read(ANY, TradePage(1))
    assert raised.value.status == 503


def test_a_trade_without_an_id_has_the_number_of_its_raw_record():
    price, quantity = Decimal("1.5"), Decimal(2)
    rows = silver_rows(
        [
            {"timestamp": 5, "sequence": 7, "raw_offset": 12, "vendor_data": [("f", "70"), ("l", "75")]},
            {"timestamp": 6, "raw_offset": 13, "side": "SELL"},
        ]
    )
    assert mirrored(rows) == [
        (7, 70, 75, 5, price, quantity, True),
        (13, 13, 13, 6, price, quantity, False),
    ]


@pytest.fixture
def trades():
    return [(NOW - at, 100 - at, 100 - at) for at in range(10)]


@pytest.fixture
async def reader(listed, health, stored, trades):
    source = history(trades[::-1])
    app: Any = create(Sources(make(simulated=True), listed, stored, health, lambda: True, trades=source))
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
