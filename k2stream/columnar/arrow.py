"""Converts JSON objects of the same shape to Arrow columns."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from k2stream.columnar.layout import Field
from k2stream.columnar.scan import Scan
from k2stream.columnar.strings import strings


def columns(values: Sequence[bytes | None]) -> dict[str, pa.Array]:
    """Return one array per field: strings, int64 or booleans. Raises NotColumnar as Scan does."""
    scan = Scan(values)
    return {field.name: _column(scan, field) for field in scan.fields}


def _column(scan: Scan, field: Field) -> pa.Array:
    if field.is_text:
        return strings(scan.texts(field.name))
    return pa.array(scan.integers(field.name) if field.is_number else scan.boolean(field.name))
