"""Each order with the newest price of its product: two topics of the same keys and partitions, joined."""

import json

from k2stream.batch import BatchApp, BatchSchema, BatchTable, batch_app_options

PARTITIONS = 4

app = BatchApp("join", **batch_app_options("localhost:9092"))
prices = app.topic("prices", schema=BatchSchema())
orders = app.topic("orders", schema=BatchSchema())
newest = BatchTable(app, name="newest", partitions=PARTITIONS, source="prices")
app.tables.add(newest)


@app.agent(prices)
async def remember(stream):
    async for batch in stream:
        found = dict(zip(batch.keys, batch.values, strict=True))  # of each product the last one stays
        newest.put_many(batch.tp.partition, {key.decode(): json.loads(value) for key, value in found.items()})


@app.agent(orders)
async def value(stream):
    async for batch in stream:
        partition = batch.tp.partition
        made = []
        for key, order in zip(batch.keys, map(json.loads, batch.values), strict=True):
            price = newest.get_from(partition, key.decode())
            worth = None if price is None else price * order["quantity"]
            made.append(json.dumps(order | {"price": price, "worth": worth}).encode())
        await app.producer.send_columns("valued", partition, batch.keys, made)


if __name__ == "__main__":
    app.main()
