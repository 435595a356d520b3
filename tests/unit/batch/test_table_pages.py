"""`app.web.tables()` of two workers, over HTTP, without a broker."""

from decimal import Decimal
from types import SimpleNamespace

import pytest
from faust.exceptions import ImproperlyConfigured
from yarl import URL

from k2stream.batch import BatchApp, batch_app_options, window_key
from k2stream.batch import _routing as routing
from tests.unit.batch.workers import PARTITIONS, new_app


async def test_each_worker_answers_for_all_partitions(cluster):
    cluster.put("totals", 0, "a/b", 1)
    cluster.put("totals", 1, "b", {"price": Decimal("1.50")})
    cluster.put("totals", 3, 7, None)
    for worker in (0, 1):
        assert await cluster.get("/tables/totals/a%2Fb", worker) == (
            200, {"table": "totals", "key": "a/b", "partition": 0, "value": 1},
        )  # fmt: skip
        assert (await cluster.get("/tables/totals/a/b", worker))[1]["value"] == 1
        assert (await cluster.get("/tables/totals/b", worker))[1]["value"] == {"price": "1.50"}
        status, page = await cluster.get("/tables/totals/", worker)
        assert (status, [entry["key"] for entry in page["entries"]]) == (200, ["7", "a/b", "b"])
        assert page["next"] is None
        _, page = await cluster.get("/tables/totals?from=a&to=b", worker)
        assert [entry["key"] for entry in page["entries"]] == ["a/b"]
        _, page = await cluster.get("/tables/totals?partition=1,3", worker)
        assert [entry["partition"] for entry in page["entries"]] == [3, 1]


async def test_next_leads_through_all_entries(cluster):
    for number in range(10):
        cluster.put("totals", number % PARTITIONS, f"k{number % 5}", number)
    path, seen = "/tables/totals?limit=3", []
    while path:
        status, page = await cluster.get(path, len(seen) % 2)
        assert status == 200
        seen += [(entry["key"], entry["partition"]) for entry in page["entries"]]
        path = page["next"]
    assert seen == sorted((f"k{n % 5}", n % PARTITIONS) for n in range(10))


async def test_a_key_of_several_partitions_is_not_chosen_for_the_caller(cluster):
    for partition in range(PARTITIONS):
        cluster.put("totals", partition, "page", partition)
    status, refused = await cluster.get("/tables/totals/page")
    assert (status, refused["partitions"]) == (409, [0, 1, 2, 3])
    assert (await cluster.get("/tables/totals/page?partition=3"))[1]["value"] == 3


async def test_windows_are_listed_by_key_and_start(cluster):
    for key, start in (("a", 0.0), ("a", 60.0), ("a", 120.0), ("b", 60.0)):
        cluster.put("bars", ord(key) % PARTITIONS, window_key(key, start, 60.0), [start])
    _, page = await cluster.get("/tables/bars?key=a&from=60000&to=1970-01-01T00:02:00Z")
    assert page["entries"] == [
        {"key": "a@1970-01-01T00:01:00Z", "partition": 1, "start": 60000, "end": 120000, "value": [60.0]}
    ]
    _, page = await cluster.get("/tables/bars?from=a@60000")
    assert [entry["start"] for entry in page["entries"]] == [60000, 120000, 60000]
    _, page = await cluster.get("/tables/bars?key=a")
    assert [entry["start"] for entry in page["entries"]] == [0, 60000, 120000]
    assert (await cluster.get("/tables/bars/b@60000"))[1]["value"] == [60.0]
    status, refused = await cluster.get("/tables/bars/a")
    assert status == 404
    assert "?key=a" in refused["error"]


async def test_the_list_counts_all_and_says_what_is_here(cluster):
    cluster.put("totals", 0, "a", 1)
    cluster.put("totals", 1, "b", 1)
    status, answer = await cluster.get("/tables/", 1)
    assert status == 200
    assert answer["worker"] == str(cluster.workers[1].conf.canonical_url)
    assert answer["tables"] == [
        {"name": "totals", "help": "clicks by page", "partitions": 4, "here": [1, 3], "entries": 2},
        {"name": "bars", "help": "", "window_seconds": 60.0, "partitions": 4, "here": [1, 3], "entries": 0},
    ]


async def test_what_is_moving_or_recovering_is_refused_never_left_out(cluster):
    cluster.put("totals", 0, "a", 1)
    cluster.recovering.add(cluster.workers[1])
    for path in ("/tables/totals", "/tables/totals/a"):
        for worker in (0, 1):
            status, refused = await cluster.get(path, worker)
            assert (status, refused["error"]) == (503, "the tables of this worker are recovering, ask again")
    assert (await cluster.get("/tables/totals/a?partition=0,2"))[0] == 200
    _, answer = await cluster.get("/tables")
    assert [table["entries"] for table in answer["tables"]] == [None, None]
    assert "recovering" in answer["tables"][0]["error"]
    cluster.recovering.clear()
    cluster.workers[1].tables["totals"].active_partitions = frozenset({1})  # nobody has 3
    assert (await cluster.get("/tables/totals"))[0] == 503
    _, answer = await cluster.get("/tables")
    assert [table["entries"] for table in answer["tables"]] == [None, 0]


async def test_a_forwarded_request_is_answered_from_there_or_refused(cluster):
    cluster.put("totals", 1, "b", 1)
    forwarded = {routing.FORWARDED: "1"}
    assert (await cluster.get("/tables/totals?partition=1", 1, forwarded))[1]["places"] == ["b"]
    assert (await cluster.get("/tables/totals?partition=1", 0, forwarded))[0] == 503
    assert (await cluster.get("/tables/totals/b", 0, forwarded))[0] == 503


async def test_a_rebalance_during_the_reading_refuses_it(cluster, monkeypatch):
    cluster.put("totals", 0, "a", 1)
    app = cluster.workers[0]

    async def rebalanced(seconds):
        app.rebalancing_count += 1

    with monkeypatch.context() as patch:
        patch.setattr("k2stream.batch._served.asyncio", SimpleNamespace(sleep=rebalanced))
        assert (await cluster.get("/tables/totals?partition=0"))[0] == 503
    assert (await cluster.get("/tables/totals?partition=0"))[0] == 200


async def test_an_owner_that_does_not_answer_is_named(cluster):
    dead = SimpleNamespace(conf=SimpleNamespace(canonical_url=URL("http://127.0.0.1:9")))
    dead.tables = cluster.workers[1].tables
    cluster.workers[1] = dead
    for path in ("/tables/totals", "/tables/totals/a"):
        status, refused = await cluster.get(path)
        assert status == 502
        assert "http://127.0.0.1:9 does not answer" in refused["error"]
    _, answer = await cluster.get("/tables")
    assert "http://127.0.0.1:9 does not answer" in answer["tables"][0]["error"]


async def test_an_owner_without_the_pages_is_no_table_without_entries(cluster):
    cluster.workers[1].web.web_app._router._resources.clear()
    cluster.workers[1].web.web_app._router._resource_index.clear()
    status, refused = await cluster.get("/tables/totals")
    assert (status, refused["error"].endswith("does not serve this page")) == (502, True)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/tables/nothing", 404, '"tables":["totals","bars"]'),
        ("/tables/_hidden", 404, "there is no table _hidden here"),
        ("/tables/totals/x", 404, '"entries":"/tables/totals/"'),
        ("/tables/totals?form=a", 400, '"parameters":["from","to"'),
        ("/tables/totals?key=a", 400, "key is not a parameter here"),
        ("/tables/totals/x?limit=1", 400, "limit is not a parameter here"),
        ("/tables?limit=1", 400, "limit is not a parameter here"),
        ("/tables/totals?limit=0", 400, "from 1 to 5000"),
        ("/tables/totals?limit=%C2%B2", 400, "from 1 to 5000"),
        ("/tables/totals?partition=4", 400, "must be of 0 to 3"),
        ("/tables/totals?partition=", 400, "must be of 0 to 3"),
        ("/tables/totals?from=b&to=a", 400, "from=b is not before to=a"),
        ("/tables/totals?after=a", 400, "as `next` of the page before has it"),
        ("/tables/totals?after=[1]", 400, "as `next` of the page before has it"),
        ("/tables/totals?at=yesterday", 400, "ms since 1970 or ISO 8601"),
        ("/tables/totals?at=2200-01-01", 400, "from 1970 to now"),
        ("/tables/bars?key=a&from=b", 400, "with a key must be ms since 1970"),
        ("/tables/totals?after=[" + 1500 * "[" + 1500 * "]" + ",0]", 400, "nested"),
    ],
)
async def test_a_wrong_request_is_told_what_is_possible(cluster, path, status, said):
    url = URL(f"{cluster.workers[0].conf.canonical_url}{path}", encoded=True)
    async with cluster.client.get(url) as response:
        assert (response.status, response.content_type) == (status, "application/json")
        assert said in await response.text()


async def test_a_table_is_shown_as_its_row_says(cluster):
    app = cluster.workers[0]
    app.web.tables(app.tables["_hidden"], row=lambda key, value: {"doubled": 2 * value})
    cluster.put("_hidden", 0, "a", 4)
    cluster.put("totals", 0, "set", {1}.__iter__())
    assert (await cluster.get("/tables/_hidden/a?partition=0"))[1]["value"] == {"doubled": 8}
    status, refused = await cluster.get("/counts/totals/set?partition=0")
    assert status == 500
    assert "the value of set cannot be shown as JSON" in refused["error"]
    assert (await cluster.get("/counts/bars"))[1] == {
        "error": "there is no table bars here", "tables": ["totals"],
    }  # fmt: skip


def test_what_cannot_be_served_is_said_when_it_is_declared():
    app = new_app()
    for wrong in ({"row": lambda key, value: value}, {"prefix": "/"}):
        with pytest.raises(ImproperlyConfigured, match=r"app\.web\.tables: "):
            app.web.tables(**wrong)
    app = BatchApp("unit", **batch_app_options("127.0.0.1:9"), web_in_thread=True)
    with pytest.raises(ImproperlyConfigured, match="web_in_thread is not supported"):
        app.web.tables()
