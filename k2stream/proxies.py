"""Excludes local addresses from HTTP proxies: HTTP_PROXY without NO_PROXY would cover local servers too."""

from __future__ import annotations

import os
from collections.abc import Mapping

LOCAL = ("127.0.0.1", "localhost", "::1")


def without_local(environ: Mapping[str, str]) -> dict[str, str]:
    """The no_proxy variables of `environ`, with the local addresses added."""
    given = ",".join(environ.get(name, "") for name in ("no_proxy", "NO_PROXY"))
    names = [name.strip() for name in given.split(",") if name.strip()]
    value = ",".join(dict.fromkeys([*names, *LOCAL]))
    return {"no_proxy": value, "NO_PROXY": value}


def except_local() -> None:
    """Exclude local addresses for all HTTP clients of this process and its children."""
    os.environ.update(without_local(os.environ))
