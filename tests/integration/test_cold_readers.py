"""Other engines read every value of every table as pyiceberg does, before and after maintenance."""

import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import duckdb
import polars
import pyarrow as pa
import pytest

from k2stream import settings
from k2stream.iceberg import tables
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.destination import Iceberg
from tests.integration.cold_samples import run
from tests.integration.sink_samples import batch, piece

pytestmark = pytest.mark.integration

COMMITS, COUNT = 3, 40


def value(draw, kind):
    """Of an Arrow type; numbers of 38 digits and letters beyond ASCII are among them."""
    if pa.types.is_dictionary(kind):
        return draw.choice(["BTC/USD", "é", "Ξ/₿"])
    if pa.types.is_string(kind):
        return draw.choice(["", "a", "0.00000001", "é ₿"])
    if pa.types.is_decimal(kind):
        digits = draw.randrange(10 ** draw.choice([1, 20, 38]))
        return Decimal(f"{draw.choice('+-')}{digits}E-{kind.scale}")
    if pa.types.is_timestamp(kind):
        unit = timedelta(microseconds=1000 if kind.unit == "ms" else 1)
        return datetime(2026, 1, draw.randrange(1, 4), tzinfo=UTC) + draw.randrange(80_000_000) * unit
    if pa.types.is_boolean(kind):
        return draw.random() < 0.5
    if pa.types.is_floating(kind):
        return draw.random()
    if pa.types.is_map(kind):
        return [(name, value(draw, kind.item_type)) for name in ("é", "b")[: draw.randrange(3)]]
    if pa.types.is_list(kind):
        return [value(draw, kind.value_type) for _ in range(draw.randrange(3))]
    return draw.randrange(-(2**31), 2**31)


def rows(draw, schema, first):
    """`raw_offset` tells them apart; a column that may lack values lacks some."""
    drawn = [{field.name: value(draw, field.type) for field in schema} for _ in range(COUNT)]
    for number, row in enumerate(drawn, first):
        row |= {"raw_offset": number, draw.choice(["trade_id", "misc", "a", "price"]): None}
    return [{name: row[name] for name in schema.names} for row in drawn]


@pytest.fixture(scope="module", params=["as committed", "maintained"])
def config(tmp_path_factory, request):
    config = settings.IcebergSettings(data_dir=str(tmp_path_factory.mktemp("readers")))
    store, draw = Iceberg(config), random.Random(7)
    routes = [table.route for table in tables.TABLES.values()]
    store.prepare(routes)
    for route in routes:
        for first in range(0, COMMITS * COUNT, COUNT):
            piled = piece(route, rows(draw, route.schema, first), first=first)
            assert store.write(route, batch(piled)) == COUNT
    if request.param == "maintained":
        assert {entry.status for entry in run(config, list(tables.TABLES))} == {"OK"}
    return config


@pytest.fixture(params=list(tables.TABLES))
def table(config, request):
    return open_catalog(config).load_table(request.param)


def plain(value):
    """The same for the forms that engines have for one value."""
    if isinstance(value, list) and value and isinstance(value[0], dict | tuple):
        return sorted(tuple(pair.values()) if isinstance(pair, dict) else pair for pair in value)
    return value


def content(found):
    """Rows in the order of their offsets."""
    assert len(found) == COMMITS * COUNT
    listed = [{name: plain(each) for name, each in row.items()} for row in found.to_pylist()]
    return sorted(listed, key=lambda row: row["raw_offset"])


def by_pyiceberg(table):
    return content(table.scan().to_arrow())


def loaded_duckdb():
    """DuckDB's extensions from their Python packages: it would download them otherwise."""
    connection = duckdb.connect()
    for name in ("avro", "iceberg"):
        (extension,) = Path(str(files(f"duckdb_extension_{name}"))).glob(
            f"extensions/*/{name}.duckdb_extension"
        )
        connection.load_extension(str(extension))
    return connection


def test_duckdb(table):
    location = table.metadata_location.removeprefix("file://")
    found = loaded_duckdb().execute(f"SELECT * FROM iceberg_scan('{location}')").to_arrow_table()
    assert content(found) == by_pyiceberg(table)


def test_polars(table, monkeypatch):
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    assert content(polars.scan_iceberg(table).collect().to_arrow()) == by_pyiceberg(table)


def test_clickhouse(config):
    """It is told which metadata file: by itself it takes the newest by name, even of a lost commit."""
    held = [open_catalog(config).load_table(name) for name in tables.TABLES]
    queries = []
    for number, table in enumerate(held):
        location = table.location().removeprefix("file://")
        metadata = table.metadata_location.removeprefix(f"{table.location()}/")
        where = f"icebergLocal('{location}', SETTINGS iceberg_metadata_file_path = '{metadata}')"
        queries.append(f"SELECT * FROM {where} INTO OUTFILE '{number}.arrow' FORMAT Arrow")
    script = f"import chdb\nfor query in {queries!r}: chdb.query(query)"
    # It reads files below its working directory only.
    subprocess.run([sys.executable, "-c", script], cwd=config.data_dir, check=True)
    for number, table in enumerate(held):
        with pa.memory_map(str(config.data_path / f"{number}.arrow")) as file:
            assert content(pa.ipc.open_file(file).read_all()) == by_pyiceberg(table), table.name()
