"""When the daily maintenance runs, and what it leaves in the metrics and in the log."""

import asyncio
import logging
import sys
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from k2stream import metrics
from k2stream.iceberg.maintenance import daily


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2026, 1, 1, 1, 59, 59, tzinfo=UTC), datetime(2026, 1, 1, 2, tzinfo=UTC)),
        (datetime(2026, 1, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, 2, tzinfo=UTC)),
        (datetime(2026, 12, 31, 23, tzinfo=UTC), datetime(2027, 1, 1, 2, tzinfo=UTC)),
        (datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 1, 2, 2, tzinfo=UTC)),
    ],
)
def test_the_next_run_is_at_two_utc(now, expected):
    assert daily.next_run(now, "02:00") == expected


def steps(*statuses, code):
    entries = [{"table": "t", "step": step, "status": status, "detail": "d"} for step, status in statuses]
    lines = b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries).decode()
    return (sys.executable, "-c", f"print({lines!r}, end=''); raise SystemExit({code})")


def value(table, step):
    return metrics.COLD_MAINTENANCE.labels(table, step)._value.get()


async def test_a_step_that_failed_is_seen_in_the_metrics():
    assert not await daily.run_once(steps(("compact", "OK"), ("audit", "MISSING"), code=1))
    assert (value("t", "compact"), value("t", "audit"), value("all", "run")) == (1, 0, 1)
    assert await daily.run_once(steps(("audit", "OK"), code=0))
    assert value("t", "audit") == 1


async def test_a_run_that_ended_early_is_seen_in_the_metrics():
    assert not await daily.run_once(steps(("compact", "OK"), code=2))
    assert value("all", "run") == 0


async def test_what_it_says_is_in_the_log_of_the_worker(caplog):
    """As lines of its own they would be no records."""
    code = "import sys; print('Error: no catalog', file=sys.stderr); raise SystemExit(1)"
    with caplog.at_level(logging.INFO):
        assert not await daily.run_once((sys.executable, "-c", code))
    assert "maintenance: Error: no catalog" in caplog.messages


async def test_a_line_of_any_length_holds_nothing_up(monkeypatch, caplog):
    """Nobody read what came after it: the process waited for that, and the worker for the process."""
    monkeypatch.setattr(daily, "LONGEST_LINE", 1 << 16, raising=False)
    code = "import sys; sys.stderr.write('x' * 200_000 + '\\n' + 'more\\n' * 100_000 + 'last\\n')"
    with caplog.at_level(logging.INFO):
        async with asyncio.timeout(20):
            assert await daily.run_once((sys.executable, "-c", code))
    assert "maintenance: a line of more than 65536 bytes" in caplog.messages
    assert caplog.messages[-1] == "maintenance: last"
