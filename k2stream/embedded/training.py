"""Writes the AOT caches in the background of a first run."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from k2stream.embedded.errors import StackError
from k2stream.embedded.kafka import Broker
from k2stream.embedded.ports import free_port
from k2stream.embedded.registry import Registry


async def train(services: tuple[Broker, Registry], cache: Path, say: Callable[[str], None]) -> None:
    """Train services without an AOT cache, one by one, on temporary folders: 10 s each, lowest priority.

    Does nothing while another process trains. Failures are reported through `say`: a cache is optional.
    """
    with (cache / "train.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        _clean(cache)
        for service in services:
            if not service.trained:
                await _train(service, cache, say)


async def _train(service: Broker | Registry, cache: Path, say: Callable[[str], None]) -> None:
    with tempfile.TemporaryDirectory(prefix="train-", dir=cache, ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        log = scratch / "train.log"
        try:
            await replace(service, folder=scratch, port=free_port(), log=log).train()
        except (StackError, OSError) as error:
            why = _kept(log, cache / "aot" / f"{service.name}.log") or str(error).partition("\n")[0]
            say(f"{service.name} runs; no AOT cache for a faster next start could be made ({why})")
        else:
            say(f"{service.name}: AOT cache written, the next start will be faster")


def _kept(log: Path, to: Path) -> str:
    """Copy a log to where it stays; the copy's path, "" if there is none."""
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, to)
    except OSError:
        return ""
    return str(to)


def _clean(cache: Path) -> None:
    for left in cache.glob("train-*"):  # left by a process killed while training
        shutil.rmtree(left)
