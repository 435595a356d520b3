"""The certify worker certifies candles; they verify from each copy, and each of ten faults is named.

Trading is over when it starts. Raw records are published as ingest does, and normalized and folded here.
"""

import asyncio
import random
from collections import defaultdict

import msgspec
import pytest

from k2stream import topics
from k2stream.batch import TP, RecordBatch
from k2stream.clickhouse.certificates import highest
from k2stream.clickhouse.destination import ClickHouse, connect
from k2stream.delivery.progress import Piece, SourcePartition
from k2stream.exchanges import raw
from k2stream.iceberg import tables
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.destination import Iceberg
from k2stream.kafka.creation import ensure_topics
from k2stream.layers import bronze, certificates
from k2stream.model import certificate, clock
from k2stream.model.certificate import RevisionCause
from k2stream.model.events import EventKind, FeedEvent
from k2stream.model.trade import RawTrade
from k2stream.reconcile.certificates.check import Wrong
from k2stream.reconcile.certificates.run import COPIES, verify
from k2stream.reconcile.oracle.copies import ICEBERG, RAW
from tests.integration.certified import issued, pipeline
from tests.integration.partitions import settings_on
from tests.integration.sink_samples import batch
from tests.integration.test_agreement import pass_over, worker

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

SYMBOL, KEY = "CERTUSDT", b"binance:CERT/USDT"
NO_TRADE = b"no trade"
ROUTE = next(route for route in bronze.ROUTES if route.topic == topics.raw("binance"))
MINUTES, EACH = 7, 12
HOUR_US = 3_600_000_000
BASE = (clock.now_us() // HOUR_US - 3) * HOUR_US
GAP, FILLED = EACH + 5, EACH + 4
"""Trades of the second minute that the feed missed: the latter was fetched later."""


def trade(number, fetched=False):
    """A raw record of ours, in the order of its number."""
    time = BASE + number * 5_000_000
    return made(SYMBOL, number, time, BASE + 200_000_000 if fetched else time + 1000, fetched)


def made(symbol, number, time, received, fetched=False):
    """A raw record: symbol, value and receive time (µs); its id is 1000 + `number`."""
    body = {"e": "trade", "E": time // 1000, "s": symbol, "t": 1000 + number, "p": f"{100 + number % 7}.50"}
    body |= {"q": f"0.{number % 999 + 1:03}", "T": time // 1000, "m": number % 3 == 0, "M": True}
    connection = f"binance{raw.FETCHED}1" if fetched else "binance-1"
    value = RawTrade(symbol, msgspec.json.encode(body))
    return symbol, raw.record(value, received, connection, number, backfilled=fetched), received


def told():
    """The raw records in order; one is unreadable, which takes an offset that bronze lacks."""
    live = [trade(number) for number in range(MINUTES * EACH) if number not in (GAP, FILLED)]
    broken = (SYMBOL, NO_TRADE, live[EACH + 4][2])
    return [*live[: EACH + 5], broken, *live[EACH + 5 : 40], trade(FILLED, fetched=True), *live[40:]]


LOST = FeedEvent(
    kind=EventKind.GAP,
    exchange="binance",
    symbol=SYMBOL,
    time=BASE + 90_000_000,
    since=BASE + 75_000_000,
    first_missing=1000 + FILLED,
    last_missing=1000 + GAP,
)


def stored(settings, source, issues):
    """Write bronze to both stores, and the certificates to ClickHouse, twice, as the sinks do."""
    hot, cold = ClickHouse(settings.clickhouse), Iceberg(settings.iceberg)
    frozen = next(table.route for table in tables.TABLES.values() if table.layer_table.hot == ROUTE.table)
    rows = ROUTE.columns(source)
    at = SourcePartition(ROUTE.topic, source.tp.partition)
    piece = Piece(at, source.first_offset, source.last_offset, {}, rows, len(rows), None)
    hot.prepare([])
    cold.prepare([frozen])
    hot.write(ROUTE, batch(piece))
    cold.write(frozen, batch(piece))
    made = RecordBatch.from_records(TP(topics.CERTIFICATES, 0), issues)
    rows = certificates.columns(made)
    at = SourcePartition(topics.CERTIFICATES, 0)
    for _ in range(2):
        piece = Piece(at, made.first_offset, made.last_offset, {}, rows, len(rows), None)
        hot.write(certificates.ROUTE, batch(piece))
    hot.close()
    return frozen.table


def tamper(settings, name):
    """Change bronze in Iceberg: one trade of each of five minutes."""
    table = open_catalog(settings.iceberg).load_table(name)
    rows = {row["t"]: row for row in table.scan().to_arrow().to_pylist()}
    removed, gap, doubled, price, side = (1000 + minute * EACH + 2 for minute in range(5))
    offsets = {row["raw_offset"] for row in rows.values()}
    (unused,) = set(range(min(offsets), max(offsets) + 1)) - offsets
    del rows[removed]
    rows[price]["p"] = "999.99"
    rows[side]["m"] = not rows[side]["m"]
    made_up = rows[gap] | {"t": 1000 + GAP, "raw_offset": unused}
    changed = [*rows.values(), rows[doubled], made_up]
    table.overwrite(type(table.scan().to_arrow()).from_pylist(changed, table.schema().as_arrow()))
    return {removed: Wrong.MISSING, 1000 + GAP: Wrong.UNCERTIFIED, doubled: Wrong.DOUBLED} | {
        price: Wrong.CHANGED,
        side: Wrong.CHANGED,
    }


def forged(found):
    """Five certificates that are not true any more, and what is wrong with each."""
    replace = msgspec.structs.replace
    second = found[1]
    revision = replace(second.revisions[-1], cause=RevisionCause.LATE)
    return [
        (replace(found[0], sha256="0" * 64), Wrong.DIGEST, "the certificate says 000"),
        (replace(second, missing=()), Wrong.GAP, f"ids missing are {1000 + GAP}"),
        (replace(second, revisions=(*second.revisions[:-1], revision)), Wrong.REVISION, "says late"),
        (replace(found[2], revision=20, records=19), Wrong.REVISION, "revision is 13"),
        (replace(second, feed=()), Wrong.GAP, "the feed was down or lost trades"),
    ]


async def prepared(stack, folder):
    """Settings of a certify worker that finds nothing of other tests."""
    database = {"clickhouse_port": stack.clickhouse_port, "clickhouse_database": "certificates"}
    settings = settings_on(stack, folder, agreement_enabled=False, **database)
    await ensure_topics(settings.kafka, topics.declared(settings.kafka))
    await pass_over(settings)
    return settings


async def test_ten_faults_of_trades_and_certificates_are_named(stack, tmp_path):
    settings = await prepared(stack, tmp_path)
    (source,), _ = await pipeline(settings, told(), [LOST])
    log = tmp_path / "certify.log"
    async with worker(settings, log) as process, asyncio.timeout(90):
        while len(await issued(settings, KEY)) < MINUTES:
            assert process.returncode is None, log.read_text()
    issues = await issued(settings, KEY)
    good = [row for row, value in enumerate(source.values) if value != NO_TRADE]
    name = stored(settings, source.take(good), issues)

    client = connect(settings.clickhouse)
    found = {(item.timeframe, item.open_time): item for item in highest(client, "certificates")}
    client.disconnect()
    assert {certificate.decode(record.value) for record in issues} >= set(found.values())
    minutes = [found["1m", BASE // 1000 + minute * 60_000] for minute in range(MINUTES - 1)]
    assert len(found) == len(minutes) + 1 and all(item.sha256 for item in found.values())
    for copy in COPIES.values():
        checks = await verify(settings, list(found.values()), copy)
        assert [(check.copy, check.faults) for check in checks] == [(copy, ())] * len(found)

    told_so = tamper(settings, name)
    for minute, check in enumerate(await verify(settings, minutes[:5], ICEBERG)):
        number, kind = list(told_so.items())[minute]
        assert [fault.kind for fault in check.faults] == [kind]
        assert f"trade {number} at raw offset" in check.faults[0].text
        assert "Iceberg bronze" in check.faults[0].text
    checks = await verify(settings, [of for of, _, _ in forged(minutes)], RAW)
    for check, (_, kind, text) in zip(checks, forged(minutes), strict=True):
        assert kind in {fault.kind for fault in check.faults}, check
        assert any(text in fault.text for fault in check.faults), check


def market(seed, symbols=20, minutes=60):
    """Random trades in the order of their arrival: some late, some missed, some fetched."""
    chance, arrivals, kept = random.Random(seed), [], defaultdict(int)
    for symbol in (f"CRT{seed}{number}USDT" for number in range(symbols)):
        for number in range(minutes * 8):
            time = BASE + number * 7_500_000 + chance.randrange(7_000_000)
            came = chance.choices(("live", "late", "missed", "fetched"), (90, 3, 3, 4))[0]
            delay = {"live": 1_000, "late": 20_000_000, "fetched": 150_000_000}.get(came)
            if delay is not None:
                kept[came] += 1
                arrivals.append(made(symbol, number, time, time + delay, came == "fetched"))
    assert all(kept.values())
    return sorted(arrivals, key=lambda item: item[2])


@pytest.mark.fault
async def test_a_thousand_random_candles_verify_though_the_worker_was_killed(stack, tmp_path):
    settings = await prepared(stack, tmp_path)
    _, finals = await pipeline(settings, market(7))
    log, prefix, chance = tmp_path / "certify.log", b"binance:CRT7", random.Random(7)
    for _ in range(5):
        async with worker(settings, log) as process, asyncio.timeout(120):
            before = len(await issued(settings, prefix))
            more = chance.randrange(1, 300)
            while len(held := await issued(settings, prefix)) < min(before + more, len(finals)):
                assert process.returncode is None, log.read_text()
    async with worker(settings, log) as process, asyncio.timeout(240):
        while True:
            held = map(certificate.decode, [record.value for record in await issued(settings, prefix)])
            found = {
                (of.timeframe, of.key, of.open_time): of for of in sorted(held, key=lambda of: of.revision)
            }
            if {at: of.revision for at, of in found.items()} == finals:
                break
            assert process.returncode is None, log.read_text()
    chosen = random.Random(8).sample(sorted(found), 1000)
    checks = await verify(settings, [found[at] for at in chosen], RAW)
    assert [(check.copy, check.faults) for check in checks] == [(RAW, ())] * 1000
