"""Shows download progress: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from k2stream.embedded.errors import StackError

# Called with a file's name and size in bytes; yields a function that counts received bytes.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]

_LINE_EVERY = 3.0  # seconds


@contextmanager
def shown(
    what: str, files: int, say: Callable[[str], None], interrupted: threading.Event | None
) -> Iterator[Progress]:
    """Show the progress of the downloads of `what`, maybe parallel; `say` gets lines where no terminal is.

    Counting bytes raises StackError once `interrupted` is set, which ends the download.
    """
    stop = interrupted or threading.Event()
    title = f"downloading {what}, once"
    title += "" if files == 1 else f": {files} files"
    if sys.stderr.isatty():
        with _bar(title) as progress:
            yield _interruptible(progress, stop)
    else:
        say(title)
        yield _interruptible(_lines(files, say), stop)


def _interruptible(progress: Progress, stop: threading.Event) -> Progress:
    @contextmanager
    def checked(name: str, size: int) -> Iterator[Callable[[int], None]]:
        with progress(name, size) as count:

            def count_or_stop(received: int) -> None:
                if stop.is_set():
                    raise StackError(
                        f"the download of {name} was interrupted: the next start fetches it again"
                    )
                count(received)

            yield count_or_stop

    return checked


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    known = 0  # bytes of the files started so far
    lock = threading.Lock()
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=None)

        @contextmanager
        def progress(_: str, size: int) -> Iterator[Callable[[int], None]]:
            nonlocal known
            with lock:
                known += size
                bars.update(task, total=known)
            yield lambda count: bars.advance(task, count)

        yield progress


def _lines(files: int, say: Callable[[str], None]) -> Progress:
    done = 0  # bytes
    whole = 0  # files
    due = time.monotonic() + _LINE_EVERY
    lock = threading.Lock()

    def count(received: int) -> None:
        nonlocal done, due
        with lock:
            done += received
            if time.monotonic() >= due:
                due = time.monotonic() + _LINE_EVERY
                say(f"  {done / 1e6:.0f} MB, {whole} of {files} files are complete")

    @contextmanager
    def progress(_: str, __: int) -> Iterator[Callable[[int], None]]:
        nonlocal whole
        yield count
        with lock:
            whole += 1

    return progress
