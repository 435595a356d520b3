"""The candle worker, and a count of the changelog entries it has read back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.progress import Counter
from k2stream.batch import BatchTable
from k2stream.commands.worker import worker


def main() -> None:
    """Count around the tables' own method, then run the worker."""
    counter = Counter()
    apply = BatchTable.apply_changelog

    def counted(table: BatchTable, partition: int, keys: Sequence[bytes | None], *rest: Any) -> None:
        apply(table, partition, keys, *rest)
        counter.add(len(keys))

    BatchTable.apply_changelog = counted  # type: ignore[method-assign, assignment]
    worker(["candles"])


if __name__ == "__main__":
    main()
