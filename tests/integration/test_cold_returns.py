"""A cold table that comes back as it was, or is another one, under a running worker."""

import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from faust.types import TP

from k2stream import settings
from k2stream.batch import RecordBatch
from k2stream.delivery.destination import WentBack
from k2stream.delivery.progress import SourcePartition
from k2stream.delivery.sink import Policy, Sink
from k2stream.iceberg import writer
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.destination import Iceberg
from k2stream.model.errors import StateRefused
from tests.integration.cold_samples import SILVER, held, once, opened, write_trades
from tests.integration.sink_samples import piece, trade

pytestmark = pytest.mark.integration

AT = SourcePartition(SILVER.topic, 0)
NEVER = Policy(flush_seconds=60, max_rows=10**6, max_bytes=10**9, save_seconds=0)


@pytest.fixture
def config(tmp_path):
    return settings.IcebergSettings(data_dir=str(tmp_path))


def rows(batch):
    return piece(SILVER, [trade(int(offset)) for offset in batch.offsets], first=batch.first_offset).rows


ROUTE = replace(SILVER, columns=rows)


class Log:
    """The topic: what a consumer delivers, also when it goes back."""

    def __init__(self, store, begin=0):
        self.next, self.begin = begin, begin
        self.sink = Sink(store, NEVER, self.earliest, self.go_back)

    async def earliest(self, partition):
        return self.begin

    async def go_back(self, wanted, between):
        between()
        self.next = wanted[AT]

    async def deliver(self, end):
        offsets = np.arange(self.next, end)
        blank: list[bytes | None] = [b""] * len(offsets)
        batch = RecordBatch(TP(*AT), offsets, offsets * 0, blank, blank)
        self.next = end
        await self.sink.put(ROUTE, batch, self.acknowledge)
        await self.sink.flush()

    async def acknowledge(self):
        pass


def table(config):
    return open_catalog(config).load_table(SILVER.table)


def roll_back(config, snapshot):
    table(config).manage_snapshots().set_current_snapshot(snapshot).commit()


def test_a_batch_that_does_not_follow_on_is_refused(config):
    """At 1ee9d02 it was taken: offsets 200 to 399 never came."""
    store = opened(config)
    write_trades(store, 0)
    write_trades(store, 100)
    good = table(config).current_snapshot().snapshot_id
    write_trades(store, 200)
    write_trades(store, 300)
    roll_back(config, good)
    with pytest.raises(WentBack, match=r"cold\.silver_trades holds market\.\S+:0 up to offset 199"):
        write_trades(store, 400)
    assert held(config) == once(200)


async def test_a_table_that_is_rolled_back_under_a_running_worker_gets_its_rows_again(config):
    log = Log(opened(config))
    await log.deliver(100)
    good = table(config).current_snapshot().snapshot_id
    await log.deliver(200)
    epoch = writer.positions(table(config))[AT].epoch
    roll_back(config, good)
    await log.deliver(300)
    assert log.next == 100
    await log.deliver(300)
    assert held(config) == once(300)
    found = writer.positions(table(config))[AT]
    assert found.offset == 299
    assert found.epoch > epoch


async def test_a_table_that_is_rolled_back_beyond_what_kafka_has_stops_the_worker(config):
    log = Log(opened(config))
    await log.deliver(100)
    good = table(config).current_snapshot().snapshot_id
    await log.deliver(200)
    roll_back(config, good)
    log.begin = 150
    with pytest.raises(StateRefused, match=r"silver_trades went back to offset 99 .* begins at 150"):
        await log.deliver(300)


async def test_a_table_that_is_made_again_under_a_running_worker_is_filled_again(config):
    log = Log(opened(config))
    await log.deliver(100)
    open_catalog(config).drop_table(SILVER.table)
    opened(config)
    await log.deliver(200)
    await log.deliver(200)
    assert held(config) == once(200)


async def test_a_folder_that_comes_back_as_it_was_under_a_running_worker_is_filled_again(config, tmp_path):
    """The catalog's file is another one then: an open connection would write into the old one."""
    folder, copy = tmp_path / "iceberg", tmp_path / "copy"
    log = Log(opened(config))
    await log.deliver(100)
    shutil.copytree(folder, copy)
    await log.deliver(200)
    for end in (300, 400):
        shutil.rmtree(folder)
        shutil.copytree(copy, folder)
        await log.deliver(end)
        await log.deliver(end)
        assert held(config) == once(end)


async def test_two_workers_after_a_rollback_add_no_row_twice(config):
    """The one that was frozen wakes up after the other has filled the table again."""
    frozen = Log(opened(config))
    await frozen.deliver(100)
    good = table(config).current_snapshot().snapshot_id
    await frozen.deliver(200)
    roll_back(config, good)
    other = Log(Iceberg(config), 0)
    other.next = 150
    await other.deliver(250)
    await other.deliver(250)
    await frozen.deliver(230)
    await frozen.deliver(300)
    assert held(config) == once(300)
    assert Counter(str(at) for at in writer.positions(table(config))) == {str(AT): 1}


async def test_the_epoch_of_a_first_start_needs_no_commit_of_its_own(config):
    log = Log(opened(config))
    await log.deliver(100)
    assert len(table(config).snapshots()) == 1
    assert writer.positions(table(config))[AT].epoch
    assert Iceberg(config).positions(SILVER) == {0: writer.positions(table(config))[AT]}
