"""A worker whose wall clock is wrong: by as many seconds as a file of its name says, read twice a second.

For processes whose PYTHONPATH has this folder, and whose MOVED_CLOCKS names that of the files.
"""

import os
import sys
import threading
import time
from pathlib import Path

_NS = 10**9
_PAUSE_SECONDS = 0.5


def _move(file: Path) -> None:
    now, now_ns, moved = time.time, time.time_ns, [0]
    time.time = lambda: now() + moved[0]
    time.time_ns = lambda: now_ns() + moved[0] * _NS

    def follow() -> None:
        while True:
            moved[0] = int(file.read_text()) if file.exists() else 0
            time.sleep(_PAUSE_SECONDS)

    threading.Thread(target=follow, daemon=True).start()


if (folder := os.environ.get("MOVED_CLOCKS")) and "worker" in sys.orig_argv:
    role = sys.orig_argv[sys.orig_argv.index("worker") + 1]
    _move(Path(folder) / "-".join(filter(None, (role, os.environ.get("K2_EXCHANGE")))))
