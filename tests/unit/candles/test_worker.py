"""What a candles worker does with batches, recoveries and the clock, without a broker."""

import numpy as np

from k2stream import metrics, topics
from k2stream.avro import registry, wire
from k2stream.batch import TP, RecordBatch
from k2stream.candles.partition import CandlePartition
from k2stream.candles.publisher import CandlePublisher
from k2stream.candles.worker import CandleWorker
from k2stream.model.candle import TIMEFRAMES

NOW = 1_700_006_400_000_000


class Stores:
    """In memory: windows of every timeframe, and progress."""

    def __init__(self):
        self.held = {}

    def get(self, key, open_time=None):
        return self.held.get((key, open_time))

    def put(self, key, *item):
        open_time, value = item if len(item) == 2 else (None, item[0])
        self.held[key, open_time] = value

    def delete(self, key, open_time):
        del self.held[key, open_time]

    def windows(self):
        return [(key, open_time, state) for (key, open_time), state in self.held.items()]


class Outlet:
    """What was sent, by topic."""

    def __init__(self):
        self.sent = []
        ids = dict.fromkeys(TIMEFRAMES, 7)
        self.publisher = CandlePublisher(self.send, ids, lambda key: key, 0.1, lambda: 0.0)

    async def send(self, topic, partition, keys, values):
        self.sent += [(topic, partition, value) for value in values]


def partition(number, now):
    stores = {name: Stores() for name in TIMEFRAMES}
    return CandlePartition(stores, Stores(), grace=5_000_000, idle=5_000_000, retention=9, now=now)


def worker():
    registry.learn(7, wire.declared("candle"))
    outlet = Outlet()
    made = CandleWorker(outlet.publisher, partition, lambda: NOW)
    made.recover([0, 1])
    return made, outlet


async def test_a_record_that_is_none_becomes_a_dead_letter_and_the_batch_goes_on():
    made, outlet = worker()
    tp = TP(topics.NORMALIZED, 1)
    made.take(RecordBatch(tp, np.array([5]), np.array([0]), [b"k"], [b"junk"]))
    await made.drain(ready=True)
    ((topic, number, letter),) = outlet.sent
    assert (topic, number) == (topics.DLQ, 0)
    assert b"junk" in letter


def test_keys_of_bad_records_make_no_metrics_of_their_own():
    """Each exchange that junk seemed to be of was a series that stayed."""

    def series():
        return {sample.labels["exchange"] for sample in next(iter(metrics.REJECTED.collect())).samples}

    made, _ = worker()
    before, count = series(), 50
    keys: list[bytes | None] = [b"x%d:BTC/USD" % number for number in range(count)]
    numbers = np.arange(count)
    made.take(RecordBatch(TP(topics.NORMALIZED, 1), numbers, numbers, keys, [b"junk"] * count))
    assert series() - before <= {"other"}


async def test_partitions_of_others_are_forgotten_at_a_recovery():
    made, _ = worker()
    first = made.partitions[1]
    made.recover([1, 2])
    assert set(made.partitions) == {1, 2}
    assert made.partitions[1] is not first


async def test_only_what_is_read_to_its_end_is_closed_by_the_clock():
    made, _ = worker()
    asked = []

    def read_to_end(number):
        asked.append(number)
        return False

    made.close_silent(read_to_end)
    assert asked == [0, 1]
