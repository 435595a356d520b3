"""A table's files have one owner: a copied folder, or a second catalog over them, keeps its hands off."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from k2stream import settings
from k2stream.commands.cold import cold
from k2stream.iceberg import owner
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.destination import Iceberg
from k2stream.iceberg.fresh import FreshTables
from k2stream.model.errors import StateRefused
from tests.integration.cold_samples import SILVER, held, once, opened, run, write_trades

pytestmark = pytest.mark.integration

NAME = SILVER.table


@pytest.fixture
def config(tmp_path):
    return settings.IcebergSettings(data_dir=str(tmp_path / "prod"))


@pytest.fixture
def store(config):
    store = opened(config)
    write_trades(store, 0)
    write_trades(store, 100)
    return store


@pytest.fixture
def copy(config, store, tmp_path):
    """A copy of the data folder; production has gone on since."""
    shutil.copytree(tmp_path / "prod", tmp_path / "copy")
    write_trades(store, 200)
    write_trades(store, 300)
    return settings.IcebergSettings(data_dir=str(tmp_path / "copy"))


def files(config):
    folder = Path(open_catalog(config).load_table(NAME).location().removeprefix("file://"))
    return {str(path) for path in folder.rglob("*") if path.is_file()}


def test_a_copied_folder_writes_and_removes_nothing_of_the_original(config, store, copy):
    """At 1ee9d02 the copy's maintenance removed what the original had written since: it could not be read."""
    before = files(config)
    with pytest.raises(StateRefused, match=r"is of sqlite .*/prod/iceberg/catalog.db.*`k2 cold adopt`"):
        opened(copy)
    with pytest.raises(StateRefused):
        write_trades(Iceberg(copy), 200, 50)
    entries = run(copy, names=[NAME])
    assert {entry.status for entry in entries if entry.step != "audit"} == {"ERROR"}
    assert "StateRefused: the location" in entries[0].detail
    with pytest.raises(StateRefused):
        FreshTables(open_catalog(copy)).create()
    assert files(config) == before
    assert held(config) == once(400)
    write_trades(store, 400)
    assert held(config) == once(500)


def test_a_copy_from_before_there_were_owners_is_refused_too(config, store, copy):
    for path in (Path(config.data_dir) / "iceberg").rglob(f"*{owner.MARKER}"):
        path.unlink()
    with pytest.raises(StateRefused, match="is not in this catalog's warehouse"):
        opened(copy)
    opened(config)
    assert {entry.status for entry in run(config, names=[NAME])} == {"OK"}
    assert held(config) == once(400)


def test_a_second_catalog_over_one_warehouse_is_refused(config, store, tmp_path):
    warehouse = f"file://{tmp_path}/prod/iceberg/warehouse"
    other = settings.IcebergSettings(
        data_dir=str(tmp_path / "other"),
        warehouse=warehouse,
        catalog_uri=f"sqlite:///{tmp_path}/other.db",
    )
    before = {path for path in files(config) if path.endswith(".parquet")}
    for _ in (1, 2):  # the first time its table is made
        with pytest.raises(StateRefused, match="is of sqlite"):
            opened(other)
    run(other, names=[NAME])
    assert before <= files(config)
    assert held(config) == once(200)


def test_whoever_adopts_goes_on_and_the_other_stops(config, store, copy, given_settings):
    """What the original wrote stays readable: it is not the new owner's to remove."""
    theirs = files(config)
    given_settings(settings.make(data_dir=copy.data_dir))
    asked = CliRunner().invoke(cold, ["adopt"], input="n\n", standalone_mode=False)
    assert f"{NAME}: {open_catalog(copy).load_table(NAME).location()} is of sqlite" in asked.output
    with pytest.raises(StateRefused):
        opened(copy)
    assert "tables adopted" in CliRunner().invoke(cold, ["adopt", "--yes"], standalone_mode=False).output
    again = opened(copy)
    write_trades(again, 200, 50)
    assert {entry.status for entry in run(copy, names=[NAME])} == {"OK"}
    assert held(copy) == once(250)
    assert theirs <= files(config)
    assert held(config) == once(400)
    with pytest.raises(StateRefused, match=r"/copy/iceberg/catalog\.db"):
        write_trades(store, 400)


def test_a_table_that_was_dropped_and_made_again_is_ones_own(config, store):
    open_catalog(config).drop_table(NAME)
    write_trades(opened(config), 0)
    assert {entry.status for entry in run(config, names=[NAME])} == {"OK"}
    assert held(config) == once(100)
