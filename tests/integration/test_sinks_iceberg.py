"""The cold tier on local files: offsets and rows are committed together, once."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import msgspec
import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import AlwaysTrue

from k2stream import settings
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.sink import DestinationUnavailable
from k2stream.iceberg import tables, writer
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.destination import Iceberg
from k2stream.model.errors import ConfigError
from tests.integration.sink_samples import batch, candle, native, piece, trade

pytestmark = pytest.mark.integration

SILVER, GOLD, KRAKEN, BINANCE = (
    tables.TABLES[f"cold.{name}"].route
    for name in ("silver_trades", "gold_ohlcv_1m", "bronze_trades_kraken", "bronze_trades_binance")
)
PARTITION = SourcePartition(SILVER.topic, 0)


@pytest.fixture
def config(tmp_path):
    return settings.IcebergSettings(data_dir=str(tmp_path))


@pytest.fixture
def catalog(config):
    return open_catalog(config)


@pytest.fixture
def store(config):
    store = Iceberg(config)
    store.prepare([SILVER, GOLD, KRAKEN, BINANCE])
    return store


def trades(first, last, **options):
    return piece(SILVER, [trade(offset) for offset in range(first, last + 1)], first=first, **options)


def offsets(catalog):
    return sorted(catalog.load_table("cold.silver_trades").scan().to_arrow()["raw_offset"].to_pylist())


def test_tables_created_by_several_workers_at_once(config):
    def prepare(_):
        Iceberg(config).prepare([table.route for table in tables.TABLES.values()])

    with ThreadPoolExecutor(4) as workers:
        list(workers.map(prepare, range(4)))
    table = open_catalog(config).load_table("cold.silver_trades")
    assert [field.name for field in table.spec().fields] == ["timestamp_day", "exchange"]
    assert table.properties["commit.retry.num-retries"] == "0"


def test_every_value_is_read_back_by_pyiceberg_and_clickhouse(store, catalog, config):
    rows = [
        trade(
            0,
            price=Decimal("99999999999999999999.999999999999999999"),
            quantity=Decimal("-0.000000000000000001"),
        ),
        trade(
            1,
            side="BUY",
            vendor_data=[("é" * 200, ""), ("b", "x")],
            trade_conditions=["a", ""],
            exchange="coinbase",
        ),
    ]
    assert store.write(SILVER, batch(piece(SILVER, rows))) == 2
    table = catalog.load_table("cold.silver_trades")
    found = table.scan().to_arrow().sort_by("raw_offset").to_pylist()
    assert found == [
        dict(sorted(row.items(), key=lambda item: SILVER.schema.names.index(item[0]))) for row in rows
    ]

    query = f"""SELECT toString(price), toString(quantity), side, vendor_data, trade_conditions, exchange,
                       toUnixTimestamp64Micro(timestamp)
                FROM icebergLocal('{table.location().removeprefix("file://")}') ORDER BY raw_offset"""
    script = f"import chdb; print(chdb.query({query!r}, 'JSONCompactEachRow'))"
    # It reads files below its working directory only.
    answer = subprocess.check_output([sys.executable, "-c", script], cwd=config.data_dir)
    lines = [msgspec.json.decode(line) for line in answer.splitlines() if line]
    assert [line[:6] for line in lines] == [
        [
            "99999999999999999999.999999999999999999",
            "-0.000000000000000001",
            "SELL",
            {"side": "s"},
            [],
            "kraken",
        ],
        ["83285.1", "0.00000002", "BUY", {"é" * 200: "", "b": "x"}, ["a", ""], "coinbase"],
    ]
    micros = [pa.scalar(row["timestamp"]).cast(pa.int64()).as_py() for row in rows]
    assert [int(line[6]) for line in lines] == micros


def test_binance_columns_do_not_differ_in_case_only(store, catalog):
    row = {
        **dict.fromkeys(BINANCE.schema.names),
        "e": "trade",
        "E": 5,
        "T": 6,
        "M": True,
        "m": False,
        "t": 7,
        "s": "X",
        "p": "1.0",
        "q": "2",
        **{
            name: native(0)[name]
            for name in ("receive_time", "connection", "sequence", "raw_partition", "raw_offset")
        },
    }
    store.write(BINANCE, batch(piece(BINANCE, [row])))
    (found,) = catalog.load_table("cold.bronze_trades_binance").scan().to_arrow().to_pylist()
    assert (found["e"], found["event_time"], found["trade_time"], found["best_match"]) == (
        "trade",
        5,
        6,
        True,
    )
    assert (found["t"], found["m"]) == (7, False)


def test_two_writers_of_the_same_offsets_leave_one_set_of_rows(store, catalog, config):
    other = Iceberg(config)
    with ThreadPoolExecutor(2) as workers:
        added = list(workers.map(lambda one: one.write(SILVER, batch(trades(0, 99))), (store, other)))
    assert sorted(added) == [0, 100]
    assert offsets(catalog) == list(range(100))


def test_a_writer_that_was_overtaken_adds_the_rest(store, catalog, config, monkeypatch):
    """The other commits between this one's look at the table and its commit."""
    other, real, overtaken = Iceberg(config), tables.rows_for, []

    def overtake(table, rows):
        if not overtaken:
            overtaken.append(True)
            other.write(SILVER, batch(trades(0, 59)))
        return real(table, rows)

    monkeypatch.setattr(writer, "rows_for", overtake)
    assert store.write(SILVER, batch(trades(0, 49), trades(50, 99))) == 40
    assert offsets(catalog) == list(range(100))
    assert store.positions(SILVER) == {0: SinkPosition(99)}


@pytest.mark.parametrize("landed", [True, False], ids=["landed", "did not land"])
def test_a_commit_whose_answer_was_lost(store, catalog, monkeypatch, landed):
    real = SqlCatalog.commit_table

    def lose(self, *arguments):
        monkeypatch.setattr(SqlCatalog, "commit_table", real)
        if landed:
            real(self, *arguments)
        raise TimeoutError("no answer")

    monkeypatch.setattr(SqlCatalog, "commit_table", lose)
    sent = batch(trades(0, 99))
    with pytest.raises(DestinationUnavailable, match="no answer"):
        store.write(SILVER, sent)
    assert store.write(SILVER, sent) == (0 if landed else 100)
    assert offsets(catalog) == list(range(100))
    assert len(catalog.load_table("cold.silver_trades").snapshots()) == 1


def test_a_restart_goes_on_from_what_was_committed(store, catalog, config):
    store.write(SILVER, batch(trades(0, 99, marks={"kraken:0": 99})))
    restarted = Iceberg(config)
    assert restarted.positions(SILVER) == {0: SinkPosition(99, {"kraken:0": 99})}
    assert restarted.write(SILVER, batch(trades(50, 119))) == 20
    assert offsets(catalog) == list(range(120))
    assert restarted.positions(KRAKEN) == {}


def test_a_commit_of_no_rows_still_moves_the_position(store):
    store.write(SILVER, batch(trades(0, 9)))
    nothing = trades(10, 19)
    sent = batch(type(nothing)(nothing.partition, 10, 19, {}, nothing.rows.slice(0, 0), 0, None))
    assert store.write(SILVER, sent) == 0
    assert store.positions(SILVER) == {0: SinkPosition(19)}


def test_positions_are_found_below_maintenance_and_their_loss_is_told(store, catalog):
    store.write(SILVER, batch(trades(0, 9)))
    table = catalog.load_table("cold.silver_trades")
    table.overwrite(table.scan().to_arrow(), overwrite_filter=AlwaysTrue())  # a rewrite without the property
    assert store.positions(SILVER) == {0: SinkPosition(9)}
    table.refresh()
    kept = table.current_snapshot().snapshot_id
    expire = table.maintenance.expire_snapshots()
    expire.by_ids([item.snapshot_id for item in table.snapshots() if item.snapshot_id != kept]).commit()
    with pytest.raises(ConfigError, match=r"^cold\.silver_trades has rows, but no snapshot that says"):
        store.positions(SILVER)


def test_maintenance_passes_the_positions_on(store, catalog):
    store.write(SILVER, batch(trades(0, 9)))
    table = catalog.load_table("cold.silver_trades")
    properties = writer.carried(table)
    table.overwrite(table.scan().to_arrow(), overwrite_filter=AlwaysTrue(), snapshot_properties=properties)
    assert writer.positions(table)[PARTITION] == SinkPosition(9)
    assert properties[writer.PROPERTY] == table.current_snapshot().summary[writer.PROPERTY]


def test_gold_keeps_the_highest_revision_of_a_commit(store, catalog):
    store.write(GOLD, batch(piece(GOLD, [candle(1, 1), candle(2, 1), candle(1, 3)])))
    store.write(GOLD, batch(piece(GOLD, [candle(1, 5)], first=3)))
    table = catalog.load_table("cold.gold_ohlcv_1m")
    rows = table.scan().to_arrow().to_pylist()
    assert sorted((row["open_time"].minute, row["revision"]) for row in rows) == [(1, 3), (1, 5), (2, 1)]
    assert [field.name for field in table.spec().fields] == ["open_time_month"]


def test_a_table_of_other_columns_is_refused(config, catalog):
    catalog.create_namespace("cold")
    catalog.create_table("cold.silver_trades", pa.schema([pa.field("price", pa.string())]))
    with pytest.raises(ConfigError, match=r"^cold\.silver_trades has the columns price, this release"):
        Iceberg(config).prepare([SILVER])
