"""What is obviously wrong with a command's options is reported before anything starts or is made."""

import logging
import socket

import pytest
from click.testing import CliRunner

from k2stream import settings
from k2stream.cli import main
from tests.unit.commands.collected import collected

NAN, FOLDER = "nan", "missing/folder/file"

BAD = [
    ("up --rate 0", "--rate"),
    ("up --rate -5", "--rate"),
    ("up --rate 1000000", "--rate"),
    ("up --rate fast", "--rate"),
    ("up --seed x", "--seed"),
    ("demo --rate 0", "--rate"),
    ("demo --seconds 0", "--seconds"),
    ("demo --seconds -1", "--seconds"),
    (f"demo --seconds {NAN}", "not a finite number"),
    ("worker silver", "'silver' is not one of"),
    ("worker ingest", "needs --exchange or K2_EXCHANGE: use one of"),
    ("worker ingest --exchange nasdaq", "'nasdaq' is not one of"),
    ("simulate --rate 0", "--rate"),
    (f"simulate --rate {NAN}", "not a finite number"),
    ("simulate --start yesterday", "'yesterday' must be"),
    ("simulate --start 0001-01-01", "before 1970"),
    ("simulate --ahead inf", "--ahead"),
    ("simulate --kraken-port 70000", "--kraken-port"),
    ("simulate --kraken-port -1", "--kraken-port"),
    ("simulate --control-port -1", "--control-port"),
    ("simulate --binance-close-seconds 0", "--binance-close-seconds"),
    (f"simulate --record {FOLDER}", "does not exist"),
    ("simulate --fault kraken", "expected e.g."),
    ("simulate --fault nasdaq:garbage@10", "expected e.g."),
    ("simulate --fault kraken:nonsense@10", "expected e.g."),
    ("simulate --fault kraken:garbage@0", "expected e.g."),
    (f"simulate --fault kraken:garbage@{NAN}", "expected e.g."),
    (f"status --svg {FOLDER}", "does not exist"),
    ("candles", "SYMBOL"),
    ("candles NO/SUCH 1m", "no exchange has a symbol 'NO/SUCH' here: there are "),
    ("candles DOGEUSD 1m --exchange binance", "binance has no symbol 'DOGEUSD' here: there are DOGE/USDT, "),
    ("candels BTC/USD 1m", "No such command 'candels'. Did you mean 'candles'?"),
    ("dlq shwo 1", "Did you mean 'show'?"),
    ("nonsense", "No such command 'nonsense'."),
    ("explain kraken NO/SUCH 1m 0", "kraken has no symbol 'NO/SUCH' here: it has "),
    ("candles BTC/USD 2y", "timeframe '2y' is unknown"),
    ("candles BTC/USD 1d --tz Mars", "time zone 'Mars' is unknown"),
    ("candles BTC/USD 1m --exchange nasdaq", "'nasdaq' is not one of"),
    ("candles BTC/USD 1m --limit 0", "limit=0 must be"),
    ("candles BTC/USD 1m --limit -3", "limit=-3 must be"),
    ("candles BTC/USD 1m --start yesterday", "start=yesterday must be"),
    ("candles BTC/USD 1m --start 2026-01-02 --end 2026-01-01", "is not before"),
    ("candles BTC/USD 1m --url nowhere", "'nowhere' must be like"),
    ("candles BTC/USD 1m --url http://host:port", "must be like"),
    ("dlq list --limit 0", "--limit"),
    ("dlq list --limit -1", "--limit"),
    ("dlq list --exchange nasdaq", "'nasdaq' is not one of"),
    ("dlq list --stage nowhere", "'nowhere' is not one of"),
    ("dlq show x", "NUMBER"),
    ("dlq show -- -1", "NUMBER"),
    ("dlq replay", "choose dead letters by one of"),
    ("dlq replay --all --offset 1", "choose dead letters by one of"),
    ("dlq replay --offset -1", "--offset"),
    ("table show nonsense", "there is no table nonsense"),
    ("table show ohlcv_1m --limit 0", "--limit"),
    ("table show ohlcv_1m --at yesterday", "'yesterday' must be"),
    ("table show ohlcv_1m --at 1960-01-01", "before 1970"),
    ("table export nonsense", "there is no table nonsense"),
    ("table export ohlcv_1m --format xml", "'xml' is not one of"),
    (f"table export ohlcv_1m --out {FOLDER}", "does not exist"),
    ("inspect --exchange nasdaq -", "unknown exchange 'nasdaq'"),
    (f"inspect --exchange kraken {FOLDER}", "cannot be read"),
    ("inspect --exchange kraken .", "cannot be read"),
    (f"inspect --exchange kraken --instruments {FOLDER} -", "cannot be read"),
    ("inspect --exchange kraken --timeframe 2m -", "'2m' is not one of"),
    ("inspect -", "--exchange"),
    ("validate nonsense", "nonsense is not a check"),
    ("validate --hours 0", "--hours"),
    ("validate --hours 1e12", "--hours"),
    (f"validate --hours {NAN}", "not a finite number"),
    ("validate --settle -1", "--settle"),
    ("validate --hours 0.01", "leave nothing of"),
    ("replay --from kafka", "'kafka' is not one of"),
    ("replay --swap --undo", "choose one of"),
    ("backfill --exchange nasdaq --symbol X --from 0", "'nasdaq' is not one of"),
    ("backfill --exchange kraken --symbol NO/SUCH --from 0", "kraken has no symbol 'NO/SUCH' here: it has "),
    ("backfill --exchange kraken --symbol BTC/USD", "--from"),
    ("backfill --exchange kraken --symbol BTC/USD --from yesterday", "'yesterday' must be"),
    ("backfill --exchange kraken --symbol BTC/USD --from 2026-01-02 --to 2026-01-01", "is not before"),
    ("backfill --exchange kraken --symbol BTC/USD --from 2200-01-01", "is not before now"),
    ("mend hot", "'hot' is not one of"),
    ("refill nonsense", "nonsense is not a table"),
    ("refill cold.silver_trades --all", "would be duplicated"),
    ("cold flush --url nowhere", "'nowhere' must be like"),
    ("cold maintain --table nonsense", "nonsense is not a table"),
    ("cold scan nonsense", "nonsense is not a table"),
    ("cold scan silver_trades --limit 0", "--limit"),
    ("cold scan silver_trades --where price>>1", "cold.silver_trades: "),
    ("cold rewrite", "No such command"),
    ("nonsense", "No such command"),
]


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    """An empty folder, in which no process can be started and no server reached or begun."""

    def refuse(*_, **__):
        raise AssertionError("something was started")

    monkeypatch.chdir(tmp_path)
    for name in ("connect", "connect_ex", "listen"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr("asyncio.create_subprocess_exec", refuse)
    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    return tmp_path


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Settings of this test alone; the tables are declared once in a process, by whoever needs them."""
    monkeypatch.setattr("k2stream.commands.table.catalog", lambda settings: dict.fromkeys(["ohlcv_1m"]))
    settings.current.cache_clear()
    yield
    settings.current.cache_clear()


@pytest.mark.parametrize(("line", "said"), BAD, ids=[line for line, _ in BAD])
def test_bad_options_are_refused_before_anything_starts(line, said, nothing):
    result = CliRunner().invoke(main, line.split())
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code in (1, 2)
    *usage, last = result.stderr.splitlines()
    assert last.startswith("Error: ") and said in last
    assert all(text.startswith(("Usage: ", "Try ")) for text in usage if text)
    assert list(nothing.iterdir()) == []


NEEDS_A_BROKER = [
    "worker candles",
    "topics",
    "dlq list",
    "dlq show 3",
    "dlq replay --all",
    "table list",
    "verify",
    "mend candles",
    "backfill --exchange kraken --symbol BTC/USD --from 0",
]


@pytest.mark.parametrize("line", NEEDS_A_BROKER)
def test_without_a_broker_there_is_one_line(line, tmp_path, monkeypatch, caplog):
    """The client logged its own words beside it, among them that nobody had closed it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("K2_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    with collected():
        result = CliRunner().invoke(main, line.split())
    said = "no Kafka broker at 127.0.0.1:1; start one with `k2 up` or set K2_KAFKA_BOOTSTRAP"
    assert (result.exit_code, result.stderr) == (1, f"Error: {said}\n")
    assert [record for record in caplog.records if record.name == "asyncio"] == []
    assert logging.getLogger("aiokafka").handlers
    assert list(tmp_path.iterdir()) == []
