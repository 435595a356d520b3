"""Record batches instead of single events under Faust: transport, table and producer.

Opt in per topic with ``schema=BatchSchema()``; the rest of Faust (agents, tables, recovery, web) stays.
"""

from k2stream.batch.app import batch_app_options
from k2stream.batch.records import RecordBatch
from k2stream.batch.schema import BatchSchema
from k2stream.batch.table import BatchTable
from k2stream.batch.windows import window_key, window_of

__all__ = ["BatchSchema", "BatchTable", "RecordBatch", "batch_app_options", "window_key", "window_of"]
