"""A canonical field more in the real tables: old rows stay, old and new writers go on."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from faust.types import TP

from k2stream import settings
from k2stream.avro import trades
from k2stream.batch import RecordBatch
from k2stream.clickhouse.cluster import clustered
from k2stream.clickhouse.destination import ClickHouse, connect
from k2stream.clickhouse.migrate import FOLDER, migrate, statements
from k2stream.iceberg import tables, writer
from k2stream.iceberg.catalog import open_catalog
from k2stream.layers import schema, silver
from k2stream.model import decimals
from k2stream.model.errors import ConfigError
from k2stream.model.trade import TradeColumns
from tests.integration.sink_samples import NOW, SILVER, batch, piece, trade
from tests.property.test_added_fields import NEW, NEW_ID, declared

pytestmark = pytest.mark.integration

COLD = tables.TABLES["cold.silver_trades"]
DATABASE = "added_fields"


def of_new_release(offset):
    """A batch of two trades of the next release: the first has a value, the second the default."""
    columns = TradeColumns(
        "kraken",
        ["S", "S"],
        ["1", "2"],
        [NOW, NOW],
        [NOW, NOW],
        ["1", "2"],
        ["1", "1"],
        [True, False],
        [1, 2],
        [1, 1],
    )
    columns.added = {"lots": [11, None], "venue": ["x", None]}
    prices = decimals.parse(columns.price)[0]
    more: dict[str, Any] = {
        "canonical": ["A/B"] * 2,
        "raw_partition": 0,
        "raw_offset": [offset, offset + 1],
        "process_time": NOW,
    }
    values: list[bytes | None] = [*trades.encode(columns, prices, prices, schema_id=NEW_ID, **more)]
    numbers = np.array([offset, offset + 1])
    rows = silver.columns(RecordBatch(TP(SILVER.topic, 0), numbers, numbers, [b"k"] * 2, values))
    made = piece(SILVER, [trade(offset), trade(offset + 1)], first=offset)
    return batch(replace(made, rows=rows))


@pytest.fixture
def config(stack, tmp_path):
    return settings.make(
        clickhouse_port=stack.clickhouse_port, clickhouse_database=DATABASE, data_dir=str(tmp_path)
    )


def test_clickhouse(config):
    client = connect(config.clickhouse)
    try:
        store = ClickHouse(config.clickhouse)
        store.prepare([])
        store.write(SILVER, batch(piece(SILVER, [trade(0)])))
        with declared(NEW):
            assert migrate(client, config.clickhouse) == [
                f"silver_trades.{name}" for name in ("lots", "venue", "tags", "seen")
            ]
            assert migrate(client, config.clickhouse) == []
            store.write(SILVER, of_new_release(1))
        store.write(SILVER, batch(piece(SILVER, [trade(3)], first=3)))
        query = f"SELECT raw_offset, lots, venue, tags FROM {DATABASE}.silver_trades ORDER BY raw_offset"
        assert client.execute(query) == [
            (0, 7, None, []),
            (1, 11, "x", []),
            (2, 7, None, []),
            (3, 7, None, []),
        ]
        store.close()
    finally:
        client.execute(f"DROP DATABASE IF EXISTS {DATABASE}")


def test_iceberg(config):
    catalog = open_catalog(config.iceberg)

    def write(rows):
        writer.append(lambda: catalog.load_table(COLD.name), COLD.route, rows)

    tables.ensure(catalog, COLD)
    write(batch(piece(COLD.route, [trade(0)])))
    with declared(NEW):
        later = replace(COLD, route=replace(COLD.route, schema=schema.SILVER))
        assert [field.name for field in tables.ensure(catalog, later).schema().fields[-4:]] == [
            "lots",
            "venue",
            "tags",
            "seen",
        ]
        write(of_new_release(1))
        assert tables.ensure(catalog, later).schema().schema_id == 1
    tables.ensure(catalog, COLD)  # the release before starts again
    write(batch(piece(COLD.route, [trade(3)], first=3)))
    rows = catalog.load_table(COLD.name).scan().to_arrow().sort_by("raw_offset")
    assert rows["lots"].to_pylist() == [None, 11, 7, None]
    assert rows["venue"].to_pylist() == [None, "x", None, None]
    assert len(rows["price"].drop_null()) == 4
    other = replace(COLD, route=replace(COLD.route, schema=COLD.route.schema.remove(0)))
    with pytest.raises(ConfigError, match="use the release that wrote it"):
        tables.ensure(catalog, other)


def test_an_engine_reads_the_statements_for_a_cluster(config):
    client = connect(config.clickhouse)
    for path in FOLDER.glob("[0-9]*.sql"):
        for statement in statements(path.read_text(), DATABASE):
            for each in clustered(statement, "main"):
                client.execute("SELECT formatQuery(%(query)s)", {"query": each})
