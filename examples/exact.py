"""Counts the keys of a topic exactly: each count says which record it ends with, and replays are dropped."""

from k2stream.batch import BatchApp, BatchSchema, BatchTable, batch_app_options

app = BatchApp("exact", **batch_app_options("localhost:9092"))
views = app.topic("views", schema=BatchSchema())
totals = BatchTable(
    app,
    name="totals",
    partitions=4,  # as many as the topic has
    source="views",  # the changelog says how far in it the table is
    supersedes=lambda new, old: new[1] >= old[1],  # the late write of a worker that was replaced loses
    reach=lambda value: value[1],
)
app.tables.add(totals)


@app.agent(views)
async def count(stream):
    async for batch in stream:
        partition = batch.tp.partition
        changed: dict[str, tuple[int, int]] = {}
        for key, offset in zip(batch.keys, batch.offsets.tolist(), strict=True):
            name = key.decode()
            held = totals.get_from(partition, name, (0, -1))
            counted, applied = changed.get(name, held)
            if offset > applied:
                changed[name] = counted + 1, offset
        totals.put_many(partition, changed)


if __name__ == "__main__":
    app.main()
