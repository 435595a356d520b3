"""Child processes that do not outlive their supervisor."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from k2stream.embedded import room
from k2stream.embedded.errors import StackError
from k2stream.logs.reading import readable

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.PyDLL(None, use_errno=True) if sys.platform == "linux" else None
_POLL = 0.02  # seconds between probes
_TAIL = 15  # log lines shown in an error
_TAIL_BYTES = 16_384


@dataclass(frozen=True)
class Usage:
    """Resource usage of a process: resident memory in bytes, CPU time in seconds since its start."""

    rss: int
    cpu: float


class Child:
    """A running child process and its log.

    On Linux the kernel kills the child when the thread that spawned it ends (PR_SET_PDEATHSIG), so spawn from
    the event loop of the main thread. On other systems the children of a killed supervisor keep running. The
    child has its own session, so that Ctrl-C reaches only the supervisor, which stops its children in order.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self.stopping = False  # True once `stop` was called
        self._process = process

    @classmethod
    async def spawn(
        cls,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        niceness: int = 0,
        cwd: Path | None = None,
        output: Path | None = None,
    ) -> Child:
        """Start `command` in `cwd`, with stdout and stderr in `log`; the previous log becomes `<log>.1`.

        With `output`, stdout goes there: what the program answers, as opposed to what it logs. Raises
        StackError when the command cannot be started.
        """
        _rotate(log)
        supervisor = os.getpid()

        def before_exec() -> None:
            if niceness:
                os.nice(niceness)
            if _LIBC is not None:
                _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() != supervisor:  # it died before prctl
                    os._exit(1)

        with log.open("wb") as errors, output.open("wb") if output else nullcontext(errors) as answers:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=answers,
                    stderr=errors,
                    env=env,
                    start_new_session=True,
                    preexec_fn=before_exec,
                    cwd=cwd,
                )
            except OSError as error:
                raise StackError(f"{name} cannot be started: {error}") from None
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for the end; returns the exit status."""
        return await self._process.wait()

    async def until_ready(self, probe: Callable[[], Awaitable[bool]], within: float) -> None:
        """Wait until `probe` returns True.

        Raises StackError with the log's last lines when the child dies first or `within` seconds pass; the
        child is then killed.
        """
        try:
            async with asyncio.timeout(within):
                while not await probe():
                    if self.returncode is not None:
                        raise StackError(self.exit_report())
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            await self.stop(grace=0)
            raise StackError(
                f"{self.name} was not ready in {within:g} s; {self.log}:\n{self.tail()}"
            ) from None
        except BaseException:
            await self.stop(grace=0)
            raise

    async def stop(self, grace: float) -> int:
        """Send SIGTERM, and SIGKILL after `grace` seconds; returns the exit status. May be called again."""
        self.stopping = True
        if grace > 0:
            self._signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(grace):
                    return await self.wait()
            except TimeoutError:
                pass  # killed below
        self._signal(signal.SIGKILL)
        return await self.wait()

    def tail(self, lines: int = _TAIL) -> str:
        """The last lines of the log, as people read them, indented; none of a log that was removed."""
        try:
            with self.log.open("rb") as log:
                log.seek(-min(log.seek(0, os.SEEK_END), _TAIL_BYTES), os.SEEK_END)
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            text = ""
        shown = (readable(line) for line in text.splitlines()[-lines:])
        return "\n".join(f"  {line}" for each in shown for line in each.splitlines())

    def exit_report(self) -> str:
        """How the process ended, with the last lines of its log."""
        status = self.returncode or 0
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        tail = self.tail()
        full = f"\nthe disk is full: {room.ADVICE}" if os.strerror(errno.ENOSPC) in tail else ""
        return f"{self.name} {how}; {self.log}:\n{tail}{full}"

    def error(self) -> str:
        """The error that its log ends with; where the log is if it has none."""
        lines = [line.strip() for line in self.tail().splitlines()]
        errors = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
        return errors[-1] if errors else f"see {self.log}"

    def usage(self) -> Usage | None:
        """Memory and CPU time; None if the process has ended or the system has no /proc."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # proc(5): utime and stime are fields 14 and 15, rss (pages) 24; the split starts at field 3
        ticks = int(stat[11]) + int(stat[12])
        return Usage(int(stat[21]) * os.sysconf("SC_PAGE_SIZE"), ticks / os.sysconf("SC_CLK_TCK"))

    def memory(self) -> int | None:
        """Its memory in bytes: pages that it shares with other processes count in parts (PSS).

        None if the process has ended or the system has no /proc; its resident memory where /proc lacks PSS.
        """
        try:
            lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            lines = []
        for line in lines:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        usage = self.usage()
        return usage.rss if usage else None

    def _signal(self, number: signal.Signals) -> None:
        # os.kill, because Popen.send_signal may reap the child before asyncio's watcher does
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _rotate(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_name(log.name + ".1"))
