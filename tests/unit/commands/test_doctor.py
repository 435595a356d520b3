"""What `k2 doctor` says of what it measured, and that it works with nothing running."""

import json
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from k2stream.cli import main
from k2stream.commands.diagnosis import checks, probes
from k2stream.commands.doctor import examine
from k2stream.embedded.room import GB
from k2stream.platform.running import Running
from k2stream.settings import make

LEVELS = [
    (checks.python((3, 10, 9)), "fail"),
    (checks.python((3, 11, 0)), "ok"),
    (checks.python((3, 14, 0)), "ok"),
    (checks.disk("data", 6 * GB), "ok"),
    (checks.disk("data", 5 * GB - 1), "warn"),
    (checks.disk("data", GB - 1), "fail"),
    (checks.memory(checks.MEMORY_WARN), "ok"),
    (checks.memory(checks.MEMORY_WARN - 1), "warn"),
    (checks.memory(checks.MEMORY_FAIL - 1), "fail"),
    (checks.memory(None), "ok"),
    (checks.port(6066, free=True, wanted=False, served=False), "ok"),
    (checks.port(6066, free=False, wanted=False, served=True), "ok"),
    (checks.port(6066, free=False, wanted=False, served=False), "warn"),
    (checks.port(7000, free=False, wanted=True, served=False), "fail"),
    (checks.exchange("kraken", "", needed=True), "ok"),
    (checks.exchange("kraken", "timed out", needed=False), "warn"),
    (checks.exchange("kraken", "timed out", needed=True), "fail"),
    (checks.exchange("kraken", "", needed=False, simulated=True), "ok"),
    (checks.exchange("kraken", "timed out", needed=False, simulated=True), "fail"),
    (checks.clock({}), "warn"),
    (checks.clock({}, simulated=True), "ok"),
    (checks.clock({"kraken": 5.1}, simulated=True), "fail"),
    (checks.clock({"kraken": 1.9}), "ok"),
    (checks.clock({"kraken": -2.1}), "warn"),
    (checks.clock({"kraken": 5.1}), "fail"),
    (checks.clock({"kraken": 60.0, "binance": 0.2}), "ok"),  # a single one may be wrong
    (checks.server("broker", "host:1", "", needed=False, setting="K2_KAFKA_BOOTSTRAP"), "ok"),
    (checks.server("broker", "host:1", "refused", needed=False, setting="K2_KAFKA_BOOTSTRAP"), "warn"),
    (checks.server("broker", "host:1", "refused", needed=True, setting="K2_KAFKA_BOOTSTRAP"), "fail"),
    (checks.catalog("no such file", needed=False), "warn"),
    (checks.catalog("no such file", needed=True), "fail"),
    (checks.catalog("", needed=True), "ok"),
]


@pytest.mark.parametrize(("finding", "level"), LEVELS)
def test_each_finding_has_its_level_and_a_fix_where_it_needs_one(finding, level):
    assert finding.level == level
    assert finding.text
    assert level == "ok" or finding.fix


def test_the_guide_asks_for_the_memory_that_the_doctor_does():
    guide = (Path(__file__).parents[3] / "docs" / "getting-started.md").read_text()
    assert f"{checks.MEMORY_LATER} GB of memory ({checks.MEMORY_START} at the start)" in guide
    used = f"takes {checks.MEMORY_START} to {checks.MEMORY_LATER} GB"
    assert used in checks.memory(4 * GB).text
    assert used in (Path(__file__).parents[3] / "docs" / "cli.md").read_text()


def test_a_clock_is_told_in_which_direction_it_is_wrong():
    assert checks.clock({"kraken": -3.0}).text == "3.0 s behind kraken"
    assert checks.clock({"kraken": 3.0}).text == "3.0 s ahead of kraken"


async def test_the_clock_is_compared_with_the_date_of_the_answer(monkeypatch):
    """The date is cut to seconds, so half a second is the middle of what it may be."""
    monkeypatch.setattr("time.time", lambda: 1_767_225_603.5)
    answer = httpx.Response(404, headers={"Date": "Thu, 01 Jan 2026 00:00:00 GMT"})
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)) as client:
        assert await probes._exchange(client, "http://exchange") == ("", 3.0)


@pytest.mark.parametrize("date", ["", "soon", "Thu, 99 Foo 2026 00:00:00 GMT"])
async def test_a_date_that_cannot_be_read_is_none(date):
    """The answer of one proxy ended the doctor with a traceback."""
    answer = httpx.Response(200, headers={"Date": date})
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)) as client:
        assert await probes._exchange(client, "http://exchange") == ("", None)


async def test_an_exchange_that_is_not_reached_says_why():
    def refuse(request):
        raise httpx.ConnectError("no route\nto host")

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as client:
        assert await probes._exchange(client, "http://exchange") == ("no route to host", None)


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("BINANCE", "KRAKEN", "COINBASE"):
        monkeypatch.setenv(f"K2_{name}_REST_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("K2_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("K2_REGISTRY_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("K2_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("K2_CLICKHOUSE_PORT", "1")
    from k2stream import settings

    settings.current.cache_clear()
    yield tmp_path
    settings.current.cache_clear()


def test_it_works_with_nothing_running_and_fails_for_what_is_configured_and_missing(nothing):
    result = CliRunner().invoke(main, ["doctor", "--json"])
    found = {item["check"]: item for item in json.loads(result.stdout)["checks"]}
    assert (result.exit_code, result.stderr) == (1, "")
    assert found["Python"]["level"] == "ok"
    assert found["broker"]["level"] == found["schema registry"]["level"] == "fail"
    assert (
        found["ClickHouse"]["level"]
        == found["kraken"]["level"]
        == found["Iceberg catalog"]["level"]
        == "warn"
    )
    assert all(item["level"] == "ok" or item["fix"] for item in found.values())
    assert list(nothing.iterdir()) == []
    assert found["broker"]["fix"].endswith(f"logs: {nothing / 'data' / 'logs'}")  # it named k2-data/logs


async def test_simulated_exchanges_are_not_said_to_be_reachable(nothing, monkeypatch):
    async def answered(urls):
        return dict.fromkeys(urls, ("", 0.1))

    monkeypatch.setattr(probes, "exchanges", answered)
    urls = {
        f"{name}_rest_url": f"http://127.0.0.1:{port}"
        for port, name in enumerate(("binance", "kraken", "coinbase"), 5000)
    }
    simulated = make(simulated=True, data_dir=str(nothing), kafka_bootstrap="127.0.0.1:1", **urls)
    found = {item.check: item for item in await examine(simulated, Running(simulated, {}, {}))}
    for name in ("binance", "kraken", "coinbase"):
        assert found[name].text == "SIMULATED: answers"
    assert "SIMULATED" in found["clock"].text
