"""Faust with record batches in place of single events: app, transport, table and producer.

Opt in per topic with ``schema=BatchSchema()``; the rest of Faust (agents, tables, recovery, web) is
unchanged. Faust is imported on first use of a name that needs it, which RecordBatch does not.

The public interface consists of the names listed here and of ``proof``, which describes what a position
refers to. Modules with a leading underscore are private. ``transport`` is Faust's entry point.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from k2stream.batch import proof
from k2stream.batch._records import TP, RecordBatch

if TYPE_CHECKING:
    from k2stream.batch._answers import check_answer, check_answers
    from k2stream.batch._app import BatchApp
    from k2stream.batch._building import RecordTooLarge
    from k2stream.batch._consumer import Consumer
    from k2stream.batch._fetch import deliver_columns
    from k2stream.batch._guard import SETTLE_SECONDS
    from k2stream.batch._options import batch_app_options
    from k2stream.batch._producer import Producer
    from k2stream.batch._restore import Reach, restore, uncertainties
    from k2stream.batch._returning import committed, go_back
    from k2stream.batch._routing import ask, forward, is_ready, owner
    from k2stream.batch._schema import BatchSchema
    from k2stream.batch._stall import watch_stalls
    from k2stream.batch._stored import Stored
    from k2stream.batch._table import BatchTable
    from k2stream.batch._windows import WINDOW_GAP, window_key, window_of
    from k2stream.batch._witness import look_at
    from k2stream.batch._worker import STOP_SECONDS, BatchWorker, report_uncaught

_WHERE = {
    "SETTLE_SECONDS": "_guard",
    "STOP_SECONDS": "_worker",
    "WINDOW_GAP": "_windows",
    "BatchApp": "_app",
    "BatchSchema": "_schema",
    "BatchTable": "_table",
    "BatchWorker": "_worker",
    "Consumer": "_consumer",
    "Producer": "_producer",
    "Reach": "_restore",
    "RecordTooLarge": "_building",
    "Stored": "_stored",
    "ask": "_routing",
    "batch_app_options": "_options",
    "check_answer": "_answers",
    "check_answers": "_answers",
    "committed": "_returning",
    "deliver_columns": "_fetch",
    "forward": "_routing",
    "go_back": "_returning",
    "is_ready": "_routing",
    "look_at": "_witness",
    "owner": "_routing",
    "report_uncaught": "_worker",
    "restore": "_restore",
    "uncertainties": "_restore",
    "watch_stalls": "_stall",
    "window_key": "_windows",
    "window_of": "_windows",
}

__all__ = [
    "SETTLE_SECONDS",
    "STOP_SECONDS",
    "TP",
    "WINDOW_GAP",
    "BatchApp",
    "BatchSchema",
    "BatchTable",
    "BatchWorker",
    "Consumer",
    "Producer",
    "Reach",
    "RecordBatch",
    "RecordTooLarge",
    "Stored",
    "ask",
    "batch_app_options",
    "check_answer",
    "check_answers",
    "committed",
    "deliver_columns",
    "forward",
    "go_back",
    "is_ready",
    "look_at",
    "owner",
    "proof",
    "report_uncaught",
    "restore",
    "uncertainties",
    "watch_stalls",
    "window_key",
    "window_of",
]


def __getattr__(name: str) -> object:
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
