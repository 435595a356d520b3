import re

import pytest

from k2stream.clickhouse.cluster import INSERT, clustered
from k2stream.clickhouse.destination import connect
from k2stream.clickhouse.migrate import FOLDER, statements
from k2stream.settings import ClickHouseSettings

ALL = [
    statement
    for path in sorted(FOLDER.glob("[0-9]*.sql"))
    for statement in statements(path.read_text(), "k2")
]


def test_one_server_runs_them_as_they_are():
    assert [clustered(statement, "") for statement in ALL] == [[statement] for statement in ALL]


def test_each_table_is_replicated_and_reached_by_its_own_name():
    made = [each for statement in ALL for each in clustered(statement, "main")]
    assert all("ON CLUSTER 'main'" in each for each in made)
    tables = re.findall(r"CREATE TABLE IF NOT EXISTS (\S+)", "\n".join(ALL))
    for table in tables:
        local, distributed = [each for each in made if re.search(rf"EXISTS {table}(_local)? ON", each)]
        assert f"EXISTS {table}_local ON CLUSTER" in local
        assert re.search(r"^ENGINE = ReplicatedReplacingMergeTree(\(\w+\))?$", local, re.MULTILINE)
        assert "non_replicated" not in local
        assert f"AS {table}_local" in distributed and "ENGINE = Distributed('main', k2, " in distributed
    assert len(tables) == 13


def test_a_shard_follows_from_what_collapses():
    (statement,) = (each for each in ALL if "EXISTS k2.ohlcv_5m\n" in each)
    _, distributed = clustered(statement, "main")
    assert distributed.endswith(
        "Distributed('main', k2, ohlcv_5m_local, cityHash64(exchange, canonical_symbol))"
    )


def test_a_change_of_a_table_is_one_of_its_local_one():
    assert clustered("ALTER TABLE k2.silver_trades MODIFY TTL x", "c") == [
        "ALTER TABLE k2.silver_trades_local ON CLUSTER 'c' MODIFY TTL x"
    ]
    both = clustered("ALTER TABLE k2.silver_trades ADD COLUMN IF NOT EXISTS `a` Int64", "c")
    assert [each.split(" ON ")[0] for each in both] == [
        "ALTER TABLE k2.silver_trades_local",
        "ALTER TABLE k2.silver_trades",
    ]
    key = "ADD COLUMN IF NOT EXISTS a String, MODIFY ORDER BY (b, a)"
    assert clustered(f"ALTER TABLE k2.p\n    {key}", "c") == [
        f"ALTER TABLE k2.p_local ON CLUSTER 'c' {key}",
        "ALTER TABLE k2.p ON CLUSTER 'c' ADD COLUMN IF NOT EXISTS a String",
    ]


def test_a_view_may_be_replaced():
    assert clustered("CREATE OR REPLACE VIEW k2.v AS SELECT 1", "c") == [
        "CREATE OR REPLACE VIEW k2.v ON CLUSTER 'c' AS SELECT 1"
    ]


def test_what_has_no_form_is_an_error():
    with pytest.raises(ValueError, match="no form for a cluster"):
        clustered("OPTIMIZE TABLE k2.silver_trades", "c")


def test_a_client_knows_all_hosts_and_waits_for_the_shards():
    client = connect(ClickHouseSettings(host="a", alt_hosts="b:9001,c", cluster="main"))
    assert list(client.connection.hosts) == [("a", 9000), ("b", 9001), ("c", 9000)]
    assert client.settings == dict(INSERT)
