"""A past of one symbol: a trade in each minute, published to its raw topic before any worker runs."""

import json
import time
from decimal import Decimal
from typing import NamedTuple

from aiokafka import AIOKafkaProducer

from k2stream import topics
from k2stream.exchanges import raw
from k2stream.kafka.creation import ensure_topics
from k2stream.model.trade import RawTrade

EXCHANGE, SYMBOL, CANONICAL = "kraken", "LTC/USD", "LTC/USD"
MINUTES = 1400  # nearly three pages of the chart
MINUTE = 60_000


class Past(NamedTuple):
    """Closes by the open time (ms) of their minute."""

    closes: dict[int, Decimal]

    @property
    def times(self):
        return sorted(self.closes)


async def publish(settings):
    """Publish the trades of the past; the newest is of the minute before this one."""
    now = int(time.time() * 1000) // MINUTE * MINUTE
    closes = {now - (MINUTES - n) * MINUTE: Decimal(f"{80 + n % 37}.{n % 100:02d}") for n in range(MINUTES)}
    await ensure_topics(settings.kafka, topics.declared(settings.kafka), leave=True)
    partition = topics.partition_of(SYMBOL, settings.kafka.raw_partitions(EXCHANGE))
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap) as producer:
        for number, (opened, price) in enumerate(sorted(closes.items())):
            traded = opened + 30_000
            trade = {"pair": SYMBOL, "price": str(price), "volume": "0.5", "time": f"{traded // 1000}.000000"}
            body = json.dumps(trade | {"side": "b", "orderType": "l", "misc": ""}).encode()
            record = raw.record(RawTrade(SYMBOL, body), traded * 1000 + 700, "past", number)
            await producer.send(topics.raw(EXCHANGE), record, SYMBOL.encode(), partition=partition)
    return Past(closes)
