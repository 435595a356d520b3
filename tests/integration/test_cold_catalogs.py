"""Other catalogs than SQLite promise the same: offsets and rows together, once, whoever else commits."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from k2stream import settings
from k2stream.delivery.sink import DestinationUnavailable
from k2stream.iceberg import tables, writer
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.destination import Iceberg
from tests.integration.catalog_servers import Postgres, Rest
from tests.integration.cold_samples import SILVER, fill, held, once, opened, run
from tests.integration.sink_samples import batch, piece, trade

pytestmark = pytest.mark.integration

KINDS = ["postgresql", pytest.param("rest", marks=pytest.mark.fault)]  # the latter is a large download


@pytest.fixture(scope="module", params=KINDS)
def server(request):
    rest = request.param == "rest"
    server = Rest(request.getfixturevalue("bucket")) if rest else Postgres()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def config(server, tmp_path):
    """A catalog without tables."""
    warehouse = server.warehouse or f"file://{tmp_path}/warehouse"
    config = settings.IcebergSettings(data_dir=str(tmp_path), catalog_uri=server.uri, warehouse=warehouse)
    yield config
    catalog = open_catalog(config)
    for name in catalog.list_tables("cold"):
        catalog.drop_table(name)


def trades(first, last):
    return batch(piece(SILVER, [trade(offset) for offset in range(first, last + 1)], first=first))


def tried(action):
    """What a sink does while the catalog is away: REST's own server also fails when two create at once."""
    for _ in range(5):
        try:
            return action()
        except DestinationUnavailable:
            pass
    return action()


def test_workers_that_start_at_once_find_all_tables(config):
    def prepare(_):
        store = Iceberg(config)
        tried(lambda: store.prepare([table.route for table in tables.TABLES.values()]))

    with ThreadPoolExecutor(4) as workers:
        list(workers.map(prepare, range(4)))
    assert {".".join(name) for name in open_catalog(config).list_tables("cold")} == set(tables.TABLES)


def test_two_writers_of_the_same_offsets_leave_one_set_of_rows(config):
    stores = [opened(config), Iceberg(config)]
    with ThreadPoolExecutor(2) as workers:
        added = list(workers.map(lambda store: store.write(SILVER, trades(0, 99)), stores))
    assert sorted(added) == [0, 100]
    assert held(config) == once(100)


def test_a_writer_that_was_overtaken_adds_the_rest(config, monkeypatch):
    store, other, real, overtaken = opened(config), Iceberg(config), tables.rows_for, []

    def overtake(table, rows):
        if not overtaken:
            overtaken.append(True)
            other.write(SILVER, trades(0, 59))
        return real(table, rows)

    monkeypatch.setattr(writer, "rows_for", overtake)
    assert store.write(SILVER, trades(0, 99)) == 40
    assert held(config) == once(100)


def test_a_catalog_that_dies_gets_the_same_batch_once(config, server):
    store = opened(config)
    assert store.write(SILVER, trades(0, 99)) == 100
    server.kill()
    try:
        for _ in range(2):
            with pytest.raises(
                DestinationUnavailable, match=r"^the Iceberg catalog or warehouse is unavailable"
            ):
                store.write(SILVER, trades(100, 199))
    finally:
        server.start()
    assert tried(lambda: store.write(SILVER, trades(100, 199))) == 100
    assert held(config) == once(200)
    assert store.positions(SILVER)[0].offset == 199


def test_maintenance_keeps_rows_and_positions(config):
    store = opened(config)
    fill(store, 3, 100)
    files = len(open_catalog(config).load_table(SILVER.table).inspect.files())
    assert {entry.status for entry in run(config)} == {"OK"}
    assert len(open_catalog(config).load_table(SILVER.table).inspect.files()) < files
    assert held(config) == once(300)
    assert store.positions(SILVER)[0].offset == 299
