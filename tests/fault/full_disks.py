"""Disks that are full for a while: a small tmpfs filled to its last byte, or a limit on the size of files."""

from __future__ import annotations

import resource
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager, suppress

TMPFS_MB = 512
KEEP_SECONDS = 0.01
NEARLY_FULL, SETTLE_SECONDS = 64 << 20, 10.0  # bytes left at first; merges end, and no insert begins


class Tmpfs:
    """A folder of TMPFS_MB; `full` while it has not a byte left. Mounting takes the superuser's rights."""

    def __init__(self, folder):
        self._folder = folder
        self._ballast = folder / "ballast"

    def __enter__(self):
        self._folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_MB}m", "k2-fault", str(self._folder)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", str(self._folder)], check=True)

    @contextmanager
    def full(self):
        """It fills up as disks do, not in an instant; what is deleted later makes no room either."""
        done = threading.Event()
        try:
            with self._ballast.open("wb", buffering=0) as ballast:
                while shutil.disk_usage(self._folder).free > NEARLY_FULL:
                    ballast.write(bytes(1 << 20))
                time.sleep(SETTLE_SECONDS)
                _fill(ballast)
                keeper = threading.Thread(target=_keep, args=(ballast, done))
                keeper.start()
                try:
                    yield
                finally:
                    done.set()
                    keeper.join()
        finally:
            self._ballast.unlink()


def _keep(ballast, done):
    while not done.wait(KEEP_SECONDS):
        _fill(ballast)


def _fill(ballast):
    for size in (1 << 20, 1 << 12, 1):
        with suppress(OSError):  # no room for one more
            while ballast.write(bytes(size)):
                pass


def mountable(folder):
    """Why a tmpfs cannot be mounted here; "" when it can."""
    try:
        with Tmpfs(folder):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return str(getattr(error, "stderr", "") or error).strip()


@contextmanager
def limited(pid):
    """No file that the process writes may grow: EFBIG, as on a quota."""
    _, hard = before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it has ended
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
