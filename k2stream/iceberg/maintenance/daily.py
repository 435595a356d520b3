"""Daily maintenance of a cold worker: `k2 cold maintain` in a separate process, to spare the worker."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from k2stream import metrics

logger = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "k2stream", "cold", "maintain", "--json")
STOP_SECONDS = 5.0
LONGEST_LINE = 1 << 20


def next_run(now: datetime, at: str) -> datetime:
    """The first time after `now` at a time of day, HH:MM in UTC."""
    hour, minute = map(int, at.split(":"))
    today = now.astimezone(UTC).replace(hour=hour, minute=minute, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


async def run_daily(at: str, chosen: Callable[[], bool]) -> None:
    """Run maintenance daily at a time of day, if `chosen()` is true then: one worker does it for all."""
    while True:
        now = datetime.now(UTC)
        await asyncio.sleep((next_run(now, at) - now).total_seconds())
        if chosen():
            await run_once()


async def run_once(command: Sequence[str] = COMMAND) -> bool:
    """Run maintenance now and set the metrics; returns whether all went well. Cancelling it is safe."""
    logger.info("maintenance of the cold tables begins")
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=LONGEST_LINE
    )
    assert process.stdout is not None and process.stderr is not None
    noting = asyncio.create_task(_log_lines(process.stderr))
    try:
        failed = 0
        async for line in process.stdout:
            entry = msgspec.json.decode(line)
            ok = entry["status"] == "OK"
            failed += not ok
            metrics.COLD_MAINTENANCE.labels(entry["table"], entry["step"]).set(ok)
            if not ok:
                concerned = {"table": entry["table"]}
                logger.error("%(table)s: %(step)s: %(status)s: %(detail)s", entry, extra=concerned)
        code = await process.wait()
        await noting
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
        noting.cancel()
    whole = code == 0 or failed > 0
    metrics.COLD_MAINTENANCE.labels("all", "run").set(whole)
    if not whole:
        logger.error("maintenance ended with exit code %d", code)
    metrics.COLD_MAINTAINED.set(time.time())
    return code == 0


async def _log_lines(lines: asyncio.StreamReader) -> None:
    """Log what the command says of its progress and of its own failure."""
    while True:
        try:
            line = await lines.readline()
        except ValueError:  # its rest comes next: who stopped reading here would hold the process up
            line = f"a line of more than {LONGEST_LINE} bytes".encode()
        if not line:
            break
        logger.info("maintenance: %s", line.decode(errors="replace").strip())
