"""Workers of one app with tables, over HTTP, without a broker."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

from aiohttp import web
from yarl import URL

from k2stream.batch import BatchApp, BatchTable, batch_app_options

PARTITIONS = 4


def new_app():
    return BatchApp("unit", **batch_app_options("127.0.0.1:9"))


class Cluster:
    """Workers of one app; partitions are even on the first and odd on the second."""

    def __init__(self, client):
        self.client, self.recovering = client, set()
        self.workers = []

    @asynccontextmanager
    async def worker(self):
        app = new_app()
        app.tables.add(BatchTable(app, name="totals", partitions=PARTITIONS, help="clicks by page"))
        bars = BatchTable(app, name="bars", partitions=PARTITIONS)
        bars.tumbling(60.0)
        app.tables.add(bars)
        app.tables.add(BatchTable(app, name="_hidden", partitions=PARTITIONS))
        app.web.tables()
        app.web.tables(app.tables["totals"], prefix="counts")
        number = len(self.workers)
        for table in app.tables.values():
            table.active_partitions = frozenset(range(number, PARTITIONS, 2))
        runner = web.AppRunner(app.web.web_app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        app.conf.canonical_url = URL("http://{}:{}".format(*runner.addresses[0]))
        app.router = SimpleNamespace(table_metadata=self.metadata, tables_metadata=self.everything)
        self.workers.append(app)
        try:
            yield app
        finally:
            await runner.cleanup()
            await app._maybe_close_http_client()

    def metadata(self, name):
        return {
            str(app.conf.canonical_url): {
                f"unit-{name}-changelog": sorted(app.tables[name].active_partitions)
            }
            for app in self.workers
        }

    def everything(self):
        return {str(app.conf.canonical_url): {} for app in self.workers}

    async def get(self, path, worker=0, headers=None):
        url = URL(f"{self.workers[worker].conf.canonical_url}{path}", encoded=True)
        async with self.client.get(url, headers=headers) as response:
            return response.status, await response.json()

    def put(self, table, partition, key, value):
        self.workers[partition % 2].tables[table].put(partition, key, value)
