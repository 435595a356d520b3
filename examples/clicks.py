"""Counts the keys of a topic."""

from collections import Counter

from k2stream.batch import BatchApp, BatchSchema, BatchTable, batch_app_options

app = BatchApp("clicks", **batch_app_options("localhost:9092"))
clicks = app.topic("clicks", schema=BatchSchema())
totals = BatchTable(app, name="totals", partitions=4)  # as many as the topic has
app.tables.add(totals)
app.web.tables()  # any worker answers at /tables/totals/KEY


@app.agent(clicks)
async def count(stream):
    async for batch in stream:  # columns of one partition: batch.keys, .values, .offsets, .timestamps
        partition, counted = batch.tp.partition, Counter(batch.keys)
        known = {key.decode(): totals.get_from(partition, key.decode(), 0) for key in counted}
        totals.put_many(partition, {key: known[key] + counted[key.encode()] for key in known})


if __name__ == "__main__":
    app.main()
