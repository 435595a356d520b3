"""`k2 top`: what it shows of the service's answers, at 80 columns, and when the service goes away."""

import asyncio

import httpx
import pytest
from textual.widgets import DataTable, Static

from k2stream.commands.terminal import overview
from k2stream.commands.terminal.app import Top
from k2stream.commands.terminal.overview import Screen, price_text


def symbol(exchange, name, price, digits=2, **changes):
    return {
        "exchange": exchange, "symbol": name, "last_price": price, "price_digits": digits,
        "change_percent": "-1.25", "span_ms": 240_000, "trades_per_second": 12.5, "spread_bps": "3.2",
        "feed_healthy": True, "unavailable": None,
    } | changes  # fmt: skip


HOT = ("silver_trades", "bronze_trades_coinbase")


def answer(price="83364.6", *, simulated=True):
    symbols = [
        symbol("binance", "BTC/USDT", price),
        symbol("coinbase", "DOGE/USDT", "0.0019", 5, feed_healthy=None),
    ]
    stage = {
        "name": "normalized", "records": 1234, "records_per_second": 201.5, "lag": 7,
        "latency_p50": 12.0, "latency_p99": 80.0, "errors": 0,
    }  # fmt: skip
    sink = {
        "table": "cold.bronze_trades_coinbase", "rows": 98_765_432, "rows_per_second": 1.0, "lag": 1_234_567,
        "seconds_behind": 300.0, "errors": 0, "commit_seconds": 900.0,
    }  # fmt: skip
    exchange = {
        "exchange": "coinbase", "connected": False, "symbols": 11, "trades_per_second": None,
        "event_lag_ms": 12.0, "reconnects": 3, "gaps": 2, "open_gaps": 1, "rejected": 0,
    }  # fmt: skip
    return Screen(
        {"simulated": simulated, "symbols": symbols},
        {"exchanges": [exchange]},
        {
            "stages": [stage],
            "sinks": [sink, *(sink | {"table": name, "commit_seconds": None} for name in HOT)],
        },
    )


def cells(app, name):
    table = app.query_one(f"#{name}", DataTable)
    return [table.get_row_at(at) for at in range(table.row_count)]


async def until(pilot, condition):
    async with asyncio.timeout(60):
        while not condition():
            await pilot.pause(0.01)


@pytest.mark.parametrize(
    ("price", "digits", "shown"),
    [
        ("83364.6", 2, "83,364.60"),
        ("0.0019", 5, "0.00190"),
        ("1.23456", 2, "1.23456"),
        ("7", 0, "7"),
        (None, 2, ""),
    ],
)
def test_a_price_has_the_precision_of_its_symbol_and_loses_no_digit(price, digits, shown):
    assert price_text(price, digits) == shown


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_each_table_is_a_key_away_and_fits(size):
    async def read():
        return answer()

    app = Top(read, "http://127.0.0.1:6066", 0.01)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: len(cells(app, "symbols")) == 2)
        assert cells(app, "symbols")[0][:5] == ["binance", "BTC/USDT", "83,364.60", "-1.25", "4 min"]
        assert cells(app, "symbols")[1][-1] == "unknown"
        assert "SIMULATED" in str(app.query_one("#state", Static).render())
        for key, name in (("p", "pipeline"), ("e", "exchanges"), ("s", "symbols")):
            await pilot.press(key)
            await pilot.pause()
            table = app.query_one(f"#{name}", DataTable)
            assert table.has_focus and table.is_on_screen
            assert table.virtual_size.width <= 78  # a scroll bar takes two
        assert cells(app, "exchanges")[0][1] == "down"
        await pilot.press("q")
    assert app.return_code == 0


def test_a_lag_until_the_next_commit_is_not_called_behind():
    def behind(seconds):
        found = answer()
        for item in found.status["sinks"]:
            item["seconds_behind"] = seconds
        return [(row[0], row[5]) for row in overview.pipeline_rows(found)][1:]

    cold = "cold, commits every 15 min"
    iceberg = "  bronze_trades_coinbase"
    assert behind(300.0) == [*((name, "5 min") for name in HOT), (cold, ""), (iceberg, "")]
    assert behind(1000.0) == [*((name, "16 min") for name in HOT), (cold, ""), (iceberg, "16 min")]


@pytest.mark.parametrize(
    ("ms", "shown"), [(None, ""), (4 * 60_000, "4 min"), (5 * 3_600_000, "5 h"), (23 * 3_600_000, "24 h")]
)
def test_a_change_says_of_how_long_it_is(ms, shown):
    assert overview.span_text(ms) == shown


async def test_it_follows_prices_keeps_the_cursor_and_comes_back_after_the_service_was_away():
    prices = iter(["1.0", "2.0"])
    now = {"answer": answer(next(prices)), "error": None}

    async def read():
        if now["error"]:
            raise now["error"]
        return now["answer"]

    app = Top(read, "http://127.0.0.1:6066", 0.01)
    async with app.run_test(size=(80, 24)) as pilot:
        state = app.query_one("#state", Static)
        await until(pilot, lambda: len(cells(app, "symbols")) == 2)
        await pilot.press("down")
        now["error"] = httpx.ConnectError("connection refused")
        await until(pilot, lambda: "no answer (connection refused)" in str(state.render()))
        assert cells(app, "symbols")[0][2] == "1.00"
        now.update(error=None, answer=answer(next(prices)))
        await until(pilot, lambda: cells(app, "symbols")[0][2] == "2.00")
        assert "SIMULATED" in str(state.render())
        assert app.query_one("#symbols", DataTable).cursor_row == 1


async def test_the_public_routes_are_asked():
    asked = []

    def respond(request):
        asked.append(request.url.path)
        return httpx.Response(200, json={"simulated": False, "symbols": []})

    async with httpx.AsyncClient(transport=httpx.MockTransport(respond), base_url="http://service") as client:
        found = await overview.read(client)
    assert sorted(asked) == ["/v1/exchanges", "/v1/status", "/v1/symbols"]
    assert found.simulated is False
