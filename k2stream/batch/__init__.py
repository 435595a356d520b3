"""Record batches instead of single events under Faust: transport, table and producer.

Opt in per topic with ``schema=BatchSchema()``; the rest of Faust (agents, tables, recovery, web) stays. Faust
is imported with the first name that needs it: a RecordBatch does not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from k2stream.batch._records import TP, RecordBatch

if TYPE_CHECKING:
    from k2stream.batch._options import batch_app_options
    from k2stream.batch._producer import Producer, RecordTooLarge
    from k2stream.batch._schema import BatchSchema
    from k2stream.batch._table import BatchTable
    from k2stream.batch._windows import window_key, window_of

_WHERE = {
    "BatchSchema": "_schema",
    "BatchTable": "_table",
    "Producer": "_producer",
    "RecordTooLarge": "_producer",
    "batch_app_options": "_options",
    "window_key": "_windows",
    "window_of": "_windows",
}

__all__ = [
    "TP",
    "BatchSchema",
    "BatchTable",
    "Producer",
    "RecordBatch",
    "RecordTooLarge",
    "batch_app_options",
    "window_key",
    "window_of",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
