"""Topics in memory, read as k2stream/kafka/reader.py reads them; and the look-up over what was published."""

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager

from k2stream import topics
from k2stream.avro import candles as codec
from k2stream.avro import registry, trades, wire
from k2stream.batch import TP, RecordBatch
from k2stream.batch.proof import Shown, proof_of
from k2stream.history.derive import base_span, derived
from k2stream.history.reader import CandleAnswer
from k2stream.model import decimals
from k2stream.model.errors import Expired
from k2stream.model.trade import SCALE, TradeColumns

CANDLE_ID, TRADE_ID = 9, 11


def encoded(of, trade_id, raw_offset, time):
    """A canonical trade's record; `time` in ms."""
    registry.learn(TRADE_ID, wire.declared("trade"))
    us = [time * 1000]
    columns = TradeColumns(
        of.exchange, [of.symbol], [trade_id], us, us, ["2.50"], ["0.10"], [True], [int(trade_id)], [1]
    )
    price, quantity = decimals.parse(columns.price)[0], decimals.parse(columns.quantity)[0]
    (value,) = trades.encode(
        columns,
        price,
        quantity,
        canonical=[of.canonical],
        raw_partition=0,
        raw_offset=[raw_offset],
        process_time=us[0],
        schema_id=TRADE_ID,
    )
    return value


class Record:
    """As aiokafka gives it."""

    def __init__(self, offset, timestamp, key, value):
        self.offset, self.timestamp, self.key, self.value = offset, timestamp, key, value


class Broker:
    """Records by topic and partition; `expire` drops the first ones."""

    def __init__(self, partitions=1):
        self.partitions = partitions
        self.records = defaultdict(list)
        self.begin = defaultdict(int)
        self.connections = 0
        self.ids = {}
        self._appended = asyncio.Event()

    def append(self, topic, partition, key, value, timestamp=0):
        log = self.records[topic, partition]
        log.append(Record(len(log), timestamp, key.encode(), value))
        self._appended.set()

    def make_anew(self, topic, topic_id=""):
        """Delete a topic, and create it again."""
        for log in [log for (name, _), log in self.records.items() if name == topic]:
            log.clear()
        self.ids[topic] = topic_id

    def publish(self, candle, partition=0, timestamp=0):
        """A revision of a candle."""
        key = f"{candle.exchange}:{candle.canonical_symbol}"
        row = [int(v.scaleb(SCALE)) if hasattr(v, "scaleb") else v for v in candle]
        self.append(topics.ohlcv(candle.timeframe), partition, key, codec.encode(row, CANDLE_ID), timestamp)

    @asynccontextmanager
    async def connect(self):
        self.connections += 1
        try:
            yield self
        finally:
            self.connections -= 1

    async def retained(self, topic, partitions):
        return {
            number: (self.begin[topic, number], len(self.records[topic, number]))
            for number in range(partitions)
        }

    async def shown(self, wanted):
        found = {}
        for tp, offset in wanted.items():
            begin, log = self.begin[tp], self.records[tp]
            record = log[offset] if begin <= offset < len(log) else None
            proof = record and proof_of(offset, record.timestamp, record.key, record.value)
            found[tp] = Shown(begin, len(log), proof, self.ids.get(tp.topic, ""))
        return found

    async def since(self, topic, partitions, ms):
        found = {}
        for number, (begin, end) in (await self.retained(topic, partitions)).items():
            later = (r.offset for r in self.records[topic, number][begin:] if r.timestamp >= ms)
            found[number] = (next(later, end), end)
        return found

    async def read(self, topic, stretches):
        at = {number: start for number, (start, _) in stretches.items()}
        while any(at[number] < end for number, (_, end) in stretches.items()):
            self._appended.clear()
            for number, (_, end) in stretches.items():
                if not self.begin[topic, number] <= at[number] <= len(self.records[topic, number]):
                    raise Expired(f"{topic}[{number}]")
                found = self.records[topic, number][at[number] : end]
                if found:
                    at[number] = found[-1].offset + 1
                    yield RecordBatch.from_records(TP(topic, number), found)
            if any(at[n] < min(end, len(self.records[topic, n])) for n, (_, end) in stretches.items()):
                continue
            if any(at[number] < end for number, (_, end) in stretches.items()):
                await self._appended.wait()


class Tables:
    """The look-up: the newest revision of each window, whether it was published yet or not."""

    def __init__(self):
        self.windows = defaultdict(dict)
        self.missing = ()
        self.error = None
        self.now, self.settled = 0, 0

    def put(self, candle):
        self.windows[f"{candle.exchange}:{candle.canonical_symbol}", candle.timeframe][candle.open_time] = (
            candle
        )

    async def read(self, instrument, of, query):
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        stored = self.windows[instrument.key, of.base if not of.is_stored else of.name]
        if of.is_stored:
            return CandleAnswer(query.span.cut(stored), self.missing)
        parts = base_span(of, query.span).cut(stored)
        return CandleAnswer(derived(of, query.span, parts, self.now, self.settled), self.missing)
