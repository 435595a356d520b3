"""The checks of `k2 doctor`: pure functions from what was measured to a finding with its fix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from k2stream.embedded.room import GB, LEAST, LITTLE

Level = Literal["ok", "warn", "fail"]

LOGS = "k2-data/logs"
"""Where the logs are unless K2_DATA_DIR says otherwise."""

OLDEST_PYTHON = (3, 11)
DISK_WARN, DISK_FAIL = LITTLE, LEAST
MEMORY_START, MEMORY_LATER = 1.6, 2.5
"""GB that `k2 up` takes at 200 trades/s: after its start (docs/performance.md), and after hours."""

MEMORY_WARN, MEMORY_FAIL = round(MEMORY_LATER * GB), round(MEMORY_START * GB)

CLOCK_WARN, CLOCK_FAIL = 2.0, 5.0
"""Seconds; an exchange's HTTP date has a resolution of one second."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line of the doctor: what was looked at, how it is, and what to do if it is not well."""

    check: str
    level: Level
    text: str
    fix: str = ""


def python(version: tuple[int, ...]) -> Diagnosis:
    """The interpreter."""
    text = ".".join(map(str, version[:3]))
    if version[:2] < OLDEST_PYTHON:
        return Diagnosis("Python", "fail", text, "install Python 3.11 or newer, and `make setup` again")
    return Diagnosis("Python", "ok", text)


def disk(folder: str, free: int) -> Diagnosis:
    """Free bytes where the data folder is."""
    text = f"{free / GB:,.1f} GB free for {folder}"
    fix = "free some space, or set K2_DATA_DIR to a folder on another disk"
    return Diagnosis("disk", _below(free, DISK_WARN, DISK_FAIL), text, fix)


def memory(available: int | None) -> Diagnosis:
    """Bytes that programs may still take; None where the system does not say."""
    if available is None:
        return Diagnosis("memory", "ok", "this system does not say how much is available")
    text = f"{available / GB:,.1f} GB available, `k2 up` takes {MEMORY_START} to {MEMORY_LATER} GB"
    return Diagnosis("memory", _below(available, MEMORY_WARN, MEMORY_FAIL), text, "stop other programs")


def port(number: int, *, free: bool, wanted: bool, served: bool) -> Diagnosis:
    """A port of the service; `wanted` by K2_SERVICE_PORT, `served` by the platform that runs."""
    name = f"port {number}"
    if served:
        return Diagnosis(name, "ok", "the running platform's")
    if free:
        return Diagnosis(name, "ok", "free")
    if wanted:
        return Diagnosis(name, "fail", "in use", "stop what listens there, or set K2_SERVICE_PORT to another")
    return Diagnosis(name, "warn", "in use", "`k2 up` takes the next free one, or K2_SERVICE_PORT")


def exchange(name: str, error: str, *, needed: bool, simulated: bool = False, logs: str = LOGS) -> Diagnosis:
    """Whether an exchange, or the running platform's SIMULATED one, answers over HTTP.

    `needed` by a platform with real feeds.
    """
    if simulated:
        fix = f"see the platform's logs: {logs}"
        level: Level = "fail" if error else "ok"
        return Diagnosis(name, level, f"SIMULATED: {f'no answer: {error}' if error else 'answers'}", fix)
    if not error:
        return Diagnosis(name, "ok", "reachable")
    fix = "check network, proxy and firewall; SIMULATED feeds (`k2 up`) need none"
    return Diagnosis(name, "fail" if needed else "warn", f"not reachable: {error}", fix)


def clock(offsets: dict[str, float], *, simulated: bool = False) -> Diagnosis:
    """This machine's clock minus each exchange's, in seconds; a SIMULATED one's is no other."""
    if not offsets and simulated:
        return Diagnosis("clock", "ok", "not compared: the SIMULATED exchanges have this machine's")
    if not offsets:
        return Diagnosis("clock", "warn", "no exchange said what time it is", "compare it with `date -u`")
    name, worst = min(offsets.items(), key=lambda item: abs(item[1]))
    text = f"{abs(worst):.1f} s {'ahead of' if worst > 0 else 'behind'} {name}"
    level = _below(-abs(worst), -CLOCK_WARN, -CLOCK_FAIL)
    if level == "ok":
        text = f"within {CLOCK_WARN:g} s of {name}"
    return Diagnosis("clock", level, text, "synchronize it: timedatectl set-ntp true")


def server(name: str, address: str, error: str, *, needed: bool, setting: str, logs: str = LOGS) -> Diagnosis:
    """A server of the platform; `needed` where a platform runs, or the setting names the server."""
    if not error:
        return Diagnosis(name, "ok", address)
    if needed:
        return Diagnosis(name, "fail", error, f"start it, or correct {setting}; a platform's logs: {logs}")
    return Diagnosis(name, "warn", f"nothing answers at {address}", f"`k2 up` starts one, or set {setting}")


def catalog(error: str, *, needed: bool, logs: str = LOGS) -> Diagnosis:
    """The Iceberg catalog, which the first commit of a cold worker creates."""
    if error and not needed:
        return Diagnosis("Iceberg catalog", "warn", "none yet", "a cold worker creates it: `k2 up`")
    setting = "K2_ICEBERG_CATALOG_URI"
    return server("Iceberg catalog", "readable", error, needed=needed, setting=setting, logs=logs)


def _below(value: float, warn: float, fail: float) -> Level:
    return "fail" if value < fail else "warn" if value < warn else "ok"
