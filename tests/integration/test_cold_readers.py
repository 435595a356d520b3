"""Other engines read the tables as pyiceberg does, before and after maintenance."""

import subprocess
import sys
from importlib.resources import files

import duckdb
import msgspec
import polars
import pyarrow.compute as pc
import pytest

from k2stream import settings
from k2stream.cold.catalog import open_catalog
from tests.integration.cold_samples import GOLD, KRAKEN, SILVER, fill, opened, run

pytestmark = pytest.mark.integration

SUMS = {
    SILVER.table: ("raw_offset", "price"),
    KRAKEN.table: ("raw_offset",),
    GOLD.table: ("revision", "volume"),
}


@pytest.fixture(scope="module", params=["as committed", "maintained"])
def config(tmp_path_factory, request):
    config = settings.Settings(data_dir=str(tmp_path_factory.mktemp("readers")))
    fill(opened(config), commits=3)
    if request.param == "maintained":
        run(config)
    return config


@pytest.fixture(params=list(SUMS))
def table(config, request):
    return open_catalog(config).load_table(request.param)


def columns(table):
    return SUMS[".".join(table.name())]


def by_pyiceberg(table):
    rows = table.scan().to_arrow()
    return [len(rows), *(str(pc.sum(rows[name])) for name in columns(table))]


def aggregates(table, text):
    return ", ".join(["count(*)", *(text.format(f"sum({name})") for name in columns(table))])


def loaded_duckdb():
    """DuckDB's extensions from their Python packages: it would download them otherwise."""
    connection = duckdb.connect()
    for name in ("avro", "iceberg"):
        (extension,) = files(f"duckdb_extension_{name}").glob(f"extensions/*/{name}.duckdb_extension")
        connection.load_extension(str(extension))
    return connection


def test_duckdb(table):
    location = table.metadata_location.removeprefix("file://")
    query = f"SELECT {aggregates(table, '{}::VARCHAR')} FROM iceberg_scan('{location}')"
    assert list(loaded_duckdb().execute(query).fetchone()) == by_pyiceberg(table)


def test_polars(table, monkeypatch):
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    sums = [polars.col(name).sum().cast(polars.String) for name in columns(table)]
    (row,) = polars.scan_iceberg(table).select(polars.len(), *sums).collect().rows()
    assert list(row) == by_pyiceberg(table)


def test_clickhouse(config):
    """It is told which metadata file: by itself it takes the newest by name, even of a lost commit."""
    held = [open_catalog(config).load_table(name) for name in SUMS]
    queries = []
    for table in held:
        location = table.location().removeprefix("file://")
        metadata = table.metadata_location.removeprefix(f"{table.location()}/")
        where = f"icebergLocal('{location}', SETTINGS iceberg_metadata_file_path = '{metadata}')"
        queries.append(f"SELECT {aggregates(table, 'toString({})')} FROM {where}")
    script = f"import chdb\nfor query in {queries!r}: print(chdb.query(query, 'JSONCompactEachRow'))"
    # It reads files below its working directory only.
    answers = subprocess.check_output([sys.executable, "-c", script], cwd=config.data_dir).splitlines()
    for table, line in zip(held, filter(None, answers), strict=True):
        assert [float(number) for number in msgspec.json.decode(line)] == list(
            map(float, by_pyiceberg(table))
        )
