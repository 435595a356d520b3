"""Leaves out rows of exchanges that are off: their raw topics are not read, so none of them is expected."""

from __future__ import annotations

from collections.abc import Iterable

from k2stream import topics
from k2stream.reconcile.oracle.engine import OracleEngine


def leave_out(engine: OracleEngine, tables: Iterable[str]) -> list[str]:
    """Remove the rows of other exchanges than those that are on; returns the names of the removed ones."""
    on = ", ".join(f"'{name}'" for name in topics.EXCHANGES)
    found: set[str] = set()
    for table in tables:
        names = engine.rows(f"SELECT DISTINCT exchange FROM {table} WHERE exchange NOT IN ({on})")
        if names:
            found |= {str(name) for (name,) in names}
            engine.table("rest", f"SELECT * FROM {table} WHERE exchange IN ({on})")
            engine.run(f"DROP TABLE {table}")
            engine.run(f"RENAME TABLE rest TO {table}")
    return sorted(found)
