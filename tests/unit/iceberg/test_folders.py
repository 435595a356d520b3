"""The cold tier in data folders of any name, and in one that was moved."""

import pytest

from k2stream.iceberg import tables
from k2stream.iceberg.catalog import open_catalog, sqlite, sqlite_path
from k2stream.iceberg.destination import Iceberg
from k2stream.model.errors import StateRefused
from k2stream.settings import IcebergSettings

NAMES = ["plain", "100%", "a%20b", "what?x=1", "a#b", "with space", 'it\'s "mine"', "ü;&=+,"]
TABLE = tables.TABLES["cold.silver_trades"]


def written(data):
    """A table with a snapshot in a data folder."""
    catalog = open_catalog(IcebergSettings(data_dir=str(data)))
    table = tables.ensure(catalog, TABLE)
    table.append(table.schema().as_arrow().empty_table())
    return table


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_data_folder_works(tmp_path, name):
    """`?` and `#` cut the name: the catalog of another folder was opened."""
    data = tmp_path / name
    data.mkdir()
    table = written(data)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (data / "iceberg" / "catalog.db").is_file()
    assert list((data / "iceberg" / "warehouse").rglob("*.metadata.json"))
    again = open_catalog(IcebergSettings(data_dir=str(data))).load_table(TABLE.name)
    assert again.current_snapshot() == table.current_snapshot()
    assert sqlite_path(sqlite(data / "catalog.db")) == data / "catalog.db"


def test_two_folders_that_differ_behind_a_question_mark_are_two_catalogs(tmp_path):
    for name in ("a?1", "a?2"):
        (tmp_path / name).mkdir()
    written(tmp_path / "a?1")
    assert not open_catalog(IcebergSettings(data_dir=str(tmp_path / "a?2"))).list_namespaces()


def test_a_moved_data_folder_says_what_to_do_and_a_link_mends_it(tmp_path):
    """The worker died of FileNotFoundError again and again."""
    old, new = tmp_path / "old", tmp_path / "new place"
    old.mkdir()
    written(old)
    old.rename(new)
    sink = Iceberg(IcebergSettings(data_dir=str(new)))
    with pytest.raises(StateRefused) as refused:
        sink.prepare([TABLE.route])
    assert f"move it back, or run `ln -s '{new}' {old}`" in str(refused.value)
    assert "\n" not in str(refused.value)
    old.symlink_to(new)
    Iceberg(IcebergSettings(data_dir=str(new))).prepare([TABLE.route])
    assert isinstance(sink.positions(TABLE.route), dict)


def test_what_is_gone_for_another_reason_is_said(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    written(data)
    for path in (data / "iceberg" / "warehouse").rglob("*.metadata.json"):
        path.unlink()
    with pytest.raises(StateRefused, match="files that the Iceberg catalog names are gone"):
        Iceberg(IcebergSettings(data_dir=str(data))).prepare([TABLE.route])
