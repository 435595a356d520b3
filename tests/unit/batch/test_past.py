"""Tables as of a past time, from a changelog, over HTTP."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np
from faust.types import TP

from k2stream.batch import RecordBatch
from k2stream.batch import _past as past


class Log:
    """A consumer of changelogs of which each partition holds (offset, time, key, value)."""

    def __init__(self, entries, seconds=0.0):
        self.entries, self.seconds = entries, seconds

    async def topics(self):
        return {"unit-totals-changelog"}

    async def beginning_offsets(self, tps):
        return dict.fromkeys(tps, 0)

    async def end_offsets(self, tps):
        return dict.fromkeys(tps, self.entries[-1][0] + 1)

    def assign(self, tps):
        (self.tp,) = tps

    def seek(self, tp, offset):
        self.at = offset

    async def position(self, tp):
        return self.at

    async def getmany(self, timeout_ms):
        await asyncio.sleep(self.seconds)
        self.at = self.entries[-1][0] + 1
        offsets, times, keys, values = zip(*self.entries, strict=True)
        batch = RecordBatch(TP(*self.tp), np.array(offsets), np.array(times), list(keys), list(values))
        return {self.tp: [batch]}


def reading(monkeypatch, log):
    @asynccontextmanager
    async def consumer(app):
        yield log

    monkeypatch.setattr(past, "_consumer", consumer)


async def test_a_past_state_is_read_from_the_changelog_and_says_what_is_uncertain(cluster, monkeypatch):
    cluster.put("totals", 0, "a", "now")
    log = [(0, 1000, b'"a"', b"1"), (3, 2000, b'"b"', b"2"), (4, 3000, b'"c"', b"3"), (5, 3000, b'"a"', b"9")]
    reading(monkeypatch, Log(log))
    status, page = await cluster.get("/tables/totals?at=2500&partition=1")
    assert (status, page["at"]) == (200, 2500)
    assert [(entry["key"], entry["value"]) for entry in page["entries"]] == [("a", 1), ("b", 2)]
    (note,) = page["notes"]
    assert note == (
        "changed after 1970-01-01 00:00:02.500, and compaction may have removed what they held then: c"
    )
    _, page = await cluster.get("/tables/totals?at=2500&partition=1&to=b")
    assert page["notes"] == [
        "compaction has removed entries: the rows are right, a key deleted since may be missing"
    ]
    _, entry = await cluster.get("/tables/totals/a?at=1970-01-01T00:00:01Z&partition=2")
    assert (entry["value"], entry["partition"]) == (1, 2)
    status, refused = await cluster.get("/tables/totals/c?at=2500")
    assert status == 404
    assert "compaction may have removed" in refused["notes"][0]
    _, answer = await cluster.get("/tables?at=2500")
    totals, bars = answer["tables"]
    assert totals["entries"] == 8
    assert bars["error"] == "the changelog unit-bars-changelog does not exist"
    assert cluster.workers[0].tables["totals"].get_from(0, "a") == "now"


async def test_the_reading_of_a_past_state_ends_in_time(cluster, monkeypatch):
    reading(monkeypatch, Log([(0, 1000, b'"a"', b"1")], seconds=5.0))
    cluster.workers[0].web._table_pages["/tables"]._past._seconds = 0.05
    status, refused = await cluster.get("/tables/totals?at=2500")
    assert status == 504
    assert "was not read within 0.05 s" in refused["error"]
    _, answer = await cluster.get("/tables?at=2500")
    assert "was not read within" in answer["tables"][0]["error"]


async def test_an_entry_that_cannot_be_read_is_named(cluster, monkeypatch):
    reading(monkeypatch, Log([(7, 1000, b'"a"', b"no JSON")]))
    status, refused = await cluster.get("/tables/totals?at=2500&partition=0")
    assert status == 500
    assert "unit-totals-changelog[0] offsets 7 to 7" in refused["error"]
