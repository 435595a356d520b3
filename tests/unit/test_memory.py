"""What a worker need not have in memory is not there once its agents are imported."""

import os
import subprocess
import sys

import pytest

from k2stream.app import ROLES

CODE = """
import sys
from importlib import import_module
import_module("k2stream.commands.worker")
import_module("k2stream.agents.{role}")
if "{role}" == "cold":
    assert sys.modules["pyarrow"].default_memory_pool().backend_name == "system"
driver = sys.modules.get("clickhouse_driver.columns.datecolumn")
print("pandas" in sys.modules, "rich" in sys.modules, len(driver.DateColumn.date_lut) if driver else 0)
"""


@pytest.mark.parametrize("role", ROLES)
def test_a_worker_has_no_pandas_no_rich_and_no_table_of_days(role, tmp_path):
    settings = {**os.environ, "K2_DATA_DIR": str(tmp_path), "K2_EXCHANGE": "binance"}
    found = subprocess.run(
        [sys.executable, "-c", CODE.format(role=role)],
        capture_output=True,
        text=True,
        check=True,
        env=settings,
    )
    assert found.stdout.split() == ["False", "False", "0"]
