"""The bronze tables that no migration makes."""

import re

import pytest

from k2stream.clickhouse import bronze
from k2stream.clickhouse.cluster import clustered
from k2stream.clickhouse.migrate import FOLDER, statements
from k2stream.exchanges import REGISTRY
from k2stream.layers.bronze import ROUTES

FILES = [text for path in sorted(FOLDER.glob("[0-9]*.sql")) for text in statements(path.read_text(), "k2")]
CODEC = re.compile(r" CODEC\((?:[^()]|\([^()]*\))*\)| *--.*")


def columns(statement):
    lines = re.findall(r"^ +`?(\w+)`? (.*?),?$", CODEC.sub("", statement), re.M)
    return {name: kind.strip().rstrip(",") for name, kind in lines}


@pytest.mark.parametrize(("exchange", "route"), list(zip(REGISTRY, ROUTES, strict=True)))
def test_they_have_the_types_that_the_migrations_give(exchange, route):
    (migrated,) = (text for text in FILES if f"TABLE IF NOT EXISTS k2.{route.table}\n" in text)
    assert columns(bronze.statement(REGISTRY[exchange], route)) == columns(migrated)


def test_only_what_no_file_makes_is_made():
    names = [route.table for route in ROUTES]
    assert list(bronze.tables(names[1:])) == names[:1]
    assert not bronze.tables(names)


def test_they_have_a_form_for_a_cluster():
    for statement in bronze.tables(()).values():
        local, distributed = clustered(statement.replace("${database}", "k2"), "c")
        assert "ReplicatedReplacingMergeTree" in local and "Distributed('c', k2," in distributed


def test_the_view_is_the_files_and_the_table_of_each_exchange_that_says_how():
    assert bronze.view(FILES, "k2", ()).count("UNION ALL") == 2
    assert bronze.view(FILES, "k2", {route.table for route in ROUTES}).count("UNION ALL") == 2
