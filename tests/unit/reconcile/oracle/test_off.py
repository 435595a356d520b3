"""Rows of an exchange that was switched off: named, and no difference."""

import pytest

from k2stream.reconcile.oracle.off import leave_out
from k2stream.reconcile.oracle.run import LAYERS
from tests.unit.reconcile.oracle.kit import Layers
from tests.unit.reconcile.oracle.test_compare import LETTERS, RAW


@pytest.fixture
def layers(tmp_path):
    made = Layers(tmp_path, RAW, LETTERS)
    yield made
    made.engine.__exit__(None, None, None)


def test_rows_of_an_exchange_that_is_off_are_left_out_and_named(layers):
    for table in LAYERS:
        others = "SELECT * REPLACE ('gone' AS exchange) FROM {table}"
        layers.change(table, f"SELECT * FROM {{table}} UNION ALL {others}")
    assert any("gone" in found for found in layers.found())
    assert leave_out(layers.engine, LAYERS) == ["gone"]
    comparisons = layers.compare()
    assert [str(item) for part in comparisons for item in part.differences] == []
    assert {part.layer: part.skipped for part in comparisons if part.skipped} == {}
    assert leave_out(layers.engine, LAYERS) == []
