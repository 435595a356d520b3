"""Commands that read what workers have written, on a data folder where none has ever run."""

import pytest
from click.testing import CliRunner

from k2stream.cli import main
from k2stream.settings import make

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
