"""The broker killed, with an outage long enough to be felt: F4."""

import json
from collections import Counter, defaultdict

import pytest

from k2stream import topics
from k2stream.reconcile.oracle.raw_log import read_to_end
from tests.fault import report
from tests.fault.chaos import Chaos
from tests.fault.platforms import caught_up, exact, quiet, running, stats

pytestmark = pytest.mark.fault

OUTAGES = (0.0, 30.0)
CATCH_UP_SECONDS = 60


async def test_f04_broker_killed_and_away_for_30_seconds(tmp_path):
    """F4: no trade that an exchange sent is missing, raw offsets are contiguous, lag is gone within 60 s.

    Short form: tests/integration/test_ingest.py::test_a_broker_that_dies_costs_no_trade_and_doubles_none.
    """
    waited = []
    async with running(tmp_path, seed=4) as platform:
        chaos = Chaos(platform, seed=4)
        for outage in OUTAGES:
            await quiet(platform, 15)
            await chaos.restart("kafka", outage)
            waited.append(await caught_up(platform, CATCH_UP_SECONDS))
        feeds = dict(platform.restarts)
        checked = await exact(platform)
        sent = await stats(platform)
        for exchange, counts in sent.items():
            records = await raw_records(platform, exchange)
            expected = counts["sent_trades"] + counts["snapshot_trades"]
            numbers = [json.loads(value)["k2_seq"] for _, value in records]
            by_partition = defaultdict(list)
            for (partition, offset), _ in records:
                by_partition[partition].append(offset)
            assert counts["connections"] == 1, exchange
            assert sorted(numbers) == list(range(expected)), exchange
            assert all(offsets == list(range(len(offsets))) for offsets in by_partition.values()), exchange
    assert not {name for name in feeds if name.startswith("ingest")}
    checked |= {
        "trades sent": sum(item["sent_trades"] + item["snapshot_trades"] for item in sent.values()),
        "missing or twice in raw": 0,
        "s to catch up at most": round(max(waited), 1),
        "workers restarted": sum(feeds.values()),
    }
    injected = Counter(chaos.done) | {"s of outage": int(sum(OUTAGES))}
    report.record("F4", injected, checked)


async def raw_records(platform, exchange):
    """((partition, offset), value) of an exchange's raw topic."""
    found = []
    async for partition, records in read_to_end(platform.settings.kafka, topics.raw(exchange)):
        found += [((partition, record.offset), record.value) for record in records]
    return found
