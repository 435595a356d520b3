import re

import pytest
from clickhouse_driver import errors

from k2stream.clickhouse.migrate import FOLDER, migrate, statements
from k2stream.iceberg.tables import RENAMED, TABLES, schema_of
from k2stream.layers import bronze, gold, silver
from k2stream.model.errors import ConfigError
from k2stream.settings import ClickHouseSettings

ROUTES = [*bronze.ROUTES, silver.ROUTE, *gold.ROUTES]


class Server:
    """Remembers statements, and the migrations table."""

    def __init__(self):
        self.ran, self.applied = [], []

    def execute(self, query, rows=None):
        self.ran.append(query)
        if rows is not None:
            self.applied += rows
        return [(name, digest) for name, digest, _ in self.applied]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "001_a.sql").write_text(
        "CREATE TABLE ${database}.a;\n\n-- why;\nCREATE TABLE ${database}.b;\n"
    )
    return tmp_path


def test_each_file_is_applied_once_in_order(folder):
    server, settings = Server(), ClickHouseSettings(database="db")
    assert migrate(server, settings, folder) == ["001_a.sql"]
    assert [query for query in server.ran if "TABLE db" in query] == [
        "CREATE TABLE db.a",
        "CREATE TABLE db.b",
    ]
    (folder / "002_c.sql").write_text("CREATE TABLE ${database}.c;\n")
    assert migrate(server, settings, folder) == ["002_c.sql"]
    assert migrate(server, settings, folder) == []


def test_a_changed_file_is_an_error(folder):
    server = Server()
    migrate(server, ClickHouseSettings(), folder)
    (folder / "001_a.sql").write_text("CREATE TABLE ${database}.other;\n")
    with pytest.raises(ConfigError, match=r"^001_a\.sql was changed after it was applied: .*new file$"):
        migrate(server, ClickHouseSettings(), folder)


def test_a_missing_file_is_an_error(folder):
    server = Server()
    (folder / "002_c.sql").write_text("CREATE TABLE ${database}.c;\n")
    migrate(server, ClickHouseSettings(), folder)
    (folder / "001_a.sql").unlink()
    with pytest.raises(ConfigError, match=r"001_a\.sql was applied to this database"):
        migrate(server, ClickHouseSettings(), folder)


def test_a_worker_of_this_release_starts_where_a_later_one_has_migrated(folder, caplog):
    server, later = Server(), folder / "002_c.sql"
    later.write_text("CREATE TABLE ${database}.c;\n")
    migrate(server, ClickHouseSettings(), folder)
    later.unlink()
    assert migrate(server, ClickHouseSettings(), folder) == []
    assert "a later release has applied 002_c.sql: replace this worker" in caplog.text


def test_no_server_is_told_in_one_line(folder):
    class Nobody:
        def execute(self, query):
            raise errors.NetworkError("refused")

    with pytest.raises(ConfigError, match=r"^no ClickHouse at 127\.0\.0\.1:9000; start one"):
        migrate(Nobody(), ClickHouseSettings(), folder)


class Cluster(Server):
    """A server of a cluster that has some tables."""

    def __init__(self, tables):
        super().__init__()
        self.tables = tables

    def execute(self, query, rows=None):
        if "FROM system.tables" in query:
            return [(name,) for name in self.tables]
        return super().execute(query, rows)


@pytest.mark.parametrize("gone", ["a", "a_local"])
def test_on_a_cluster_a_table_is_there_only_with_its_local_one(tmp_path, gone):
    """Without the latter every insert failed, and so did every start that should have created it again."""
    (tmp_path / "001_a.sql").write_text(
        "CREATE TABLE IF NOT EXISTS ${database}.a\n(\n    b Int64\n)\nENGINE = MergeTree\nORDER BY (b);\n"
    )
    server, settings = Cluster(["a", "a_local"]), ClickHouseSettings(database="db", cluster="c")
    migrate(server, settings, tmp_path)
    server.ran.clear()
    migrate(server, settings, tmp_path)
    assert not [query for query in server.ran if "db.a" in query or "sink_positions" in query]
    server.tables.remove(gone)
    migrate(server, settings, tmp_path)
    changes = [" ".join(query.split()[:7]) for query in server.ran if "db.a" in query or "DELETE" in query]
    assert changes == [
        "ALTER TABLE db.sink_positions_local ON CLUSTER 'c' DELETE",
        "CREATE TABLE IF NOT EXISTS db.a_local ON",
        "CREATE TABLE IF NOT EXISTS db.a ON",
    ]


def columns(sql):
    return re.findall(r"^    `?(\w+)`? [A-Z]", sql[sql.index("(") :].split("\n)")[0], re.M)


def test_our_statements_are_idempotent_and_hold_the_routes_columns():
    tables = {}
    for path in sorted(FOLDER.glob("[0-9]*.sql")):
        for statement in statements(path.read_text(), "k2"):
            head = re.match(r"CREATE (TABLE|VIEW) IF NOT EXISTS k2\.(\w+)\b", statement)
            again = r"ALTER TABLE k2\.\w+\s+(MODIFY |ADD COLUMN IF NOT EXISTS )|CREATE OR REPLACE VIEW "
            assert head or re.match(again, statement), statement
            if not head:
                continue
            tables[head[2]] = columns(statement) if head[1] == "TABLE" else None
    for route in ROUTES:
        assert tables[route.table] == route.schema.names
    assert {f"{route.table}_view" for route in gold.ROUTES} <= tables.keys()
    assert {f"consolidated_{route.table}_view" for route in gold.ROUTES} <= tables.keys()


def test_the_cold_tier_has_every_column_and_no_two_that_differ_in_case():
    assert [table.route.topic for table in TABLES.values()] == [route.topic for route in ROUTES]
    for table in TABLES.values():
        names = [field.name for field in schema_of(table.route.schema).fields]
        assert names == [RENAMED.get(name, name) for name in table.route.schema.names]
        assert len({name.lower() for name in names}) == len(names)
