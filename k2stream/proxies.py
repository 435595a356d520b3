"""Local addresses never go through a proxy: HTTP_PROXY without NO_PROXY would send our own there."""

from __future__ import annotations

import os
from collections.abc import Mapping

LOCAL = ("127.0.0.1", "localhost", "::1")


def without_local(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that except local addresses from the proxies, beside what is excepted already."""
    given = ",".join(environ.get(name, "") for name in ("no_proxy", "NO_PROXY"))
    names = [name.strip() for name in given.split(",") if name.strip()]
    value = ",".join(dict.fromkeys([*names, *LOCAL]))
    return {"no_proxy": value, "NO_PROXY": value}


def except_local() -> None:
    """For all clients of this process and of its children."""
    os.environ.update(without_local(os.environ))
