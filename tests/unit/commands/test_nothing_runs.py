"""Commands that read what workers have written, on a data folder where none has ever run."""

import pytest
from click.testing import CliRunner

from k2stream.cli import main
from k2stream.platform import running
from k2stream.settings import make

CLOSED = "127.0.0.1:1"
COMMANDS = (
    "cold adopt",
    "cold scan silver_trades",
    "cold maintain",
    "cold maintain --dry-run",
    "replay",
    "replay --undo",
    "refill cold.silver_trades",
)


@pytest.mark.parametrize("line", COMMANDS)
def test_they_say_what_to_do_in_one_line_and_create_nothing(line, tmp_path, given_settings):
    folder = tmp_path / "data"
    given_settings(make(data_dir=str(folder)))
    result = CliRunner().invoke(main, line.split())
    assert result.exit_code == 1
    catalog = folder / "iceberg" / "catalog.db"
    assert result.output.startswith(f"Error: {catalog} does not exist yet: ")
    assert "`k2 up`" in result.output and result.output.count("\n") == 1
    assert not folder.exists()


@pytest.mark.parametrize(
    ("line", "setting"),
    [
        ("verify", "K2_KAFKA_BOOTSTRAP"),
        ("topics", "K2_KAFKA_BOOTSTRAP"),
        ("dlq list", "K2_KAFKA_BOOTSTRAP"),
        ("sql SELECT", "K2_CLICKHOUSE_HOST"),
        ("trades kraken BTC/USD", "K2_CLICKHOUSE_HOST"),
        ("explain kraken BTC/USD 1m 0", "K2_CLICKHOUSE_HOST"),
        ("validate silver_side", "K2_CLICKHOUSE_HOST"),
    ],
)
def test_addresses_that_nobody_chose_are_not_named(line, setting, tmp_path, monkeypatch, given_settings):
    monkeypatch.setattr(running, "DEFAULTS", (CLOSED,))  # the real ones may be open here
    given_settings(make(data_dir=str(tmp_path), kafka_bootstrap=CLOSED, clickhouse_port=1))
    result = CliRunner().invoke(main, line.split())
    assert result.exit_code == 1
    assert result.stderr == f"Error: nothing runs on {tmp_path}: start it with `k2 up`, or set {setting}\n"


@pytest.mark.parametrize("line", ["topics", "sql SELECT"])
def test_addresses_that_were_chosen_are_named(line, tmp_path, given_settings):
    given_settings(make(data_dir=str(tmp_path), kafka_bootstrap=CLOSED, clickhouse_port=1))
    result = CliRunner().invoke(main, line.split())
    assert result.exit_code == 1
    assert f" at {CLOSED}" in result.stderr


def test_candles_say_that_nothing_was_started(tmp_path, monkeypatch, given_settings):
    monkeypatch.setattr(running, "DEFAULTS", (CLOSED,))
    given_settings(make(data_dir=str(tmp_path), kafka_bootstrap=CLOSED, clickhouse_port=1))
    result = CliRunner().invoke(main, ["candles", "BTC/USD", "1m"])
    assert result.exit_code == 1
    assert f"nothing runs on {tmp_path}" in result.stderr and "ClickHouse (not started)" in result.stderr
    assert CLOSED not in result.stderr
