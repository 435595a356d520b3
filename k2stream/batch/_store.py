"""In-memory table contents by partition."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, ValuesView
from itertools import chain
from typing import Any, NoReturn

from faust.stores.base import Store

from k2stream.batch._generic import K, V
from k2stream.batch._records import TP

_MISSING: Any = object()


class PartitionedStore(Store[K, V]):
    """One dictionary per partition, so that a partition can be listed, and dropped at once in a rebalance.

    A key belongs to one partition; a lookup without a partition tries all of them.
    """

    def __post_init__(self) -> None:
        self.partitions: dict[int, dict[K, V]] = {}

    def partition(self, number: int) -> dict[K, V]:
        """Contents of a partition, created when it is new."""
        return self.partitions.setdefault(number, {})

    def __getitem__(self, key: K) -> V:
        for contents in self.partitions.values():
            value: V = contents.get(key, _MISSING)
            if value is not _MISSING:
                return value
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return any(key in contents for contents in self.partitions.values())

    def __iter__(self) -> Iterator[K]:
        return chain.from_iterable(self.partitions.values())

    def __len__(self) -> int:
        return sum(map(len, self.partitions.values()))

    def __setitem__(self, key: K, value: V) -> NoReturn:
        raise TypeError("a batch table is written with table.put(partition, key, value)")

    def __delitem__(self, key: K) -> NoReturn:
        raise TypeError("a batch table is written with table.delete(partition, key)")

    # Faust's base class expects a single dictionary named data in these methods.

    def keys(self) -> KeysView[K]:
        return KeysView(self)

    def values(self) -> ValuesView[V]:
        return ValuesView(self)

    def items(self) -> ItemsView[K, V]:
        return ItemsView(self)

    def copy(self) -> dict[K, V]:
        return dict(self.items())

    def update(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError("a batch table is written with table.put_many(partition, items)")

    def clear(self) -> None:
        self.partitions.clear()

    def persisted_offset(self, tp: TP) -> int | None:
        return None  # see BatchTable.persisted_offset; memory does not outlive the process

    def apply_changelog_batch(
        self, batch: Iterable[object], to_key: Callable[[object], K], to_value: Callable[[object], V]
    ) -> None:
        if list(batch):
            raise RuntimeError("changelog events reach a batch table through BatchTable.apply_changelog")

    def reset_state(self) -> None:
        self.partitions.clear()

    async def backup_partition(
        self, tp: TP | int, flush: bool = True, purge: bool = False, keep: int = 1
    ) -> None:
        raise NotImplementedError("a batch table keeps no files; its changelog is its backup")

    def restore_backup(self, tp: TP | int, latest: bool = True, backup_id: int = 0) -> None:
        raise NotImplementedError("a batch table keeps no files; its changelog is its backup")
