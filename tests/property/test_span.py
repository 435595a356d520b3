"""Past trades page by page: every trade of the span once, whatever ids are left out and however it ends."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from k2stream import exchanges
from k2stream.backfill.span import TradeSpan, chunks
from k2stream.exchanges.rest.spec import Past
from k2stream.model.trade import RawTrade
from tests.unit.backfill.fake_rest import FakeRestClient

LIMIT = 4
steps = st.lists(st.tuples(st.integers(1, 3) | st.just(50), st.integers(0, 6)), max_size=40)
spans = st.tuples(st.integers(0, 120), st.integers(1, 120)).map(lambda span: TradeSpan(span[0], sum(span)))


def trades(steps, first):
    number, time, found = first, 0, []
    for skipped, later in steps:
        number, time = number + skipped, time + later
        found.append(Past(number, time, RawTrade("S", b"{}")))
    return found


def client(name, fetched, unreadable=()):
    exchange = exchanges.get(name)
    assert exchange.history is not None
    by_id = exchange.history.by_id
    few = replace(exchange.history, limit=LIMIT)
    if by_id:
        few = replace(few, by_id=lambda *asked: limited(by_id(*asked)))
    return FakeRestClient(replace(exchange, history=few), {"S": fetched}, LIMIT, unreadable)


def limited(request):
    """Coinbase always asks for whole pages."""
    return request._replace(query={**request.query, "limit": str(min(LIMIT, int(request.query["limit"])))})


async def read(client, span):
    """The ids of the trades, and those of the rows that cannot be read."""
    found, rejects = [], []
    async for chunk in chunks(client, "S", "", span):
        found += [item.id for item in chunk.trades]
        rejects += [int(item.original) for item in chunk.rejects]
        assert len(client.asked) < 500
    return found, rejects


async def ids(client, span, cursor=None):
    found, cursors = [], []
    async for chunk in chunks(client, "S", "", span, cursor):
        found.append([item.id for item in chunk.trades])
        cursors.append(chunk.cursor)
        assert len(client.asked) < 500
    return found, cursors


@given(st.sampled_from(["binance", "coinbase"]), steps, st.integers(0, 10_000), spans, st.data())
async def test_by_ids(name, steps, first, span, data):
    if name == "coinbase":  # its ids have no hole as long as a page
        steps = [(min(skipped, 2), later) for skipped, later in steps]
    fetched = trades(steps, first)
    found, cursors = await ids(client(name, fetched), span)
    flat = [number for page in found for number in page]
    assert flat == [item.id for item in fetched if span.start <= item.time < span.end]
    if cursors:
        at = data.draw(st.integers(0, len(cursors) - 1))
        rest, _ = await ids(client(name, fetched), span, cursors[at])
        assert [n for page in rest for n in page] == [n for page in found[at + 1 :] for n in page]


@given(steps, spans, st.data())
async def test_by_time(steps, span, data):
    together = data.draw(st.integers(0, 2))  # a few of one time fit a page
    fetched = trades(
        [
            (1, max(later, 1) if number % (together + 1) == 0 else 0)
            for number, (_, later) in enumerate(steps)
        ],
        0,
    )
    found, cursors = await ids(client("kraken", fetched), span)
    flat = [number for page in found for number in page]
    assert flat == [item.id for item in fetched if span.start <= item.time < span.end]
    at = data.draw(st.integers(0, len(cursors) - 1))
    rest, _ = await ids(client("kraken", fetched), span, cursors[at])
    assert [n for page in rest for n in page] == [n for page in found[at + 1 :] for n in page]


@given(st.sampled_from(["binance", "coinbase", "kraken"]), steps, spans, st.data())
async def test_rows_that_cannot_be_read_cost_no_other_and_are_told(name, steps, span, data):
    """Of whole pages too; only where the newest of all is unreadable nothing says up to which id to ask."""
    steps = [(min(skipped, 2), later + (name == "kraken")) for skipped, later in steps]
    fetched = trades(steps, 0)
    numbers = [item.id for item in fetched]
    bad = set(data.draw(st.lists(st.sampled_from(numbers)))) if numbers else set()
    if data.draw(st.booleans()) and numbers:
        start = data.draw(st.integers(0, len(numbers) - 1))
        bad |= set(numbers[start : start + 3 * LIMIT])
    if name != "kraken":
        bad -= set(numbers[-1:])
    found, rejects = await read(client(name, fetched, bad), span)
    inside = [item.id for item in fetched if span.start <= item.time < span.end]
    assert found == [number for number in inside if number not in bad]
    assert len(rejects) == len(set(rejects)) and set(rejects) >= bad & set(inside)


@given(st.sampled_from(["binance", "coinbase"]), spans)
async def test_a_newest_row_that_cannot_be_read_is_told(name, span):
    assert await read(client(name, trades([(1, 1)] * 9, 0), {9}), span) == ([], [9])
