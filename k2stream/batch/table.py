"""Tables whose changelog is written behind: coalesced by key, one record batch per partition before each commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, ItemsView, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from faust import Table
from faust.exceptions import ImproperlyConfigured
from faust.types import TP

from k2stream.batch import windows
from k2stream.batch.store import PartitionedStore

_TOMBSTONE = object()


@dataclass(frozen=True, slots=True)
class Changes:
    """Encoded changelog entries of one partition; a value of None is a tombstone."""

    table: BatchTable
    partition: int
    keys: list[bytes]
    values: list[bytes | None]


class BatchTable(Table):
    """In-memory Faust table with explicit partitions.

    Write with ``put`` and ``delete`` (in an agent the mapping syntax works too, on the partition of the current
    event); read as any mapping. Send what is derived from a change *before* the ``put`` with no await in between:
    changelog entries become durable only after everything sent before them, so that state which suppresses replays
    never runs ahead of the outputs. Register on_recover callbacks to rebuild indexes; they run after every rebalance.

    Codecs default to JSON; two equal keys must encode to equal bytes. ``supersedes(new, old)`` keeps the old value on
    recovery when it returns False: it shields state that carries its position from the late entries of a zombie.
    """

    def __init__(
        self,
        app: Any,
        *,
        dumps_key: Callable[[Any], bytes] | None = None,
        loads_key: Callable[[bytes], Any] | None = None,
        dumps_value: Callable[[Any], bytes] = msgspec.json.encode,
        loads_value: Callable[[bytes], Any] = msgspec.json.decode,
        supersedes: Callable[[Any, Any], bool] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(app, **options)
        store = str(self._store or app.conf.store)
        if not store.startswith("memory:"):
            raise ImproperlyConfigured(f"table {self.name}: store {store} is not supported, use memory://")
        if self.is_global or self.use_partitioner:
            raise ImproperlyConfigured(f"table {self.name}: global and partitioner tables are not supported")
        self._dumps_key, self._loads_key = dumps_key, loads_key
        self._dumps_value, self._loads_value = dumps_value, loads_value
        self._supersedes = supersedes
        self._dirty: defaultdict[int, dict[Any, None]] = defaultdict(dict)
        self._offsets: dict[int, int] = {}
        self.active_partitions: frozenset[int] = frozenset()

    # Reading and writing

    def put(self, partition: int, key: Any, value: Any) -> None:
        """Set ``key`` in ``partition``."""
        self.data.partition(partition)[key] = value
        self._dirty[partition][key] = None

    def put_many(self, partition: int, items: Mapping[Any, Any]) -> None:
        """Set all of ``items`` in ``partition``."""
        self.data.partition(partition).update(items)
        self._dirty[partition].update(dict.fromkeys(items))

    def delete(self, partition: int, key: Any) -> None:
        """Remove ``key`` from ``partition`` and write a tombstone; an absent key is no error."""
        self.data.partition(partition).pop(key, None)
        self._dirty[partition][key] = None

    def get_from(self, partition: int, key: Any, default: Any = None) -> Any:
        """Value of ``key`` in ``partition``: one dictionary lookup."""
        contents = self.data.partitions.get(partition)
        return default if contents is None else contents.get(key, default)

    def partition_items(self, partition: int) -> ItemsView[Any, Any]:
        """Live view of a partition; empty when this worker does not hold it."""
        return self.data.partitions.get(partition, {}).items()

    def __setitem__(self, key: Any, value: Any) -> None:
        self.put(self._current_partition(), key, value)

    def __delitem__(self, key: Any) -> None:
        if key not in self.data:
            raise KeyError(key)
        self.delete(self._current_partition(), key)

    def update(self, *args: Any, **kwargs: Any) -> None:
        self.put_many(self._current_partition(), dict(*args, **kwargs))

    def clear(self) -> None:
        for partition, contents in self.data.partitions.items():
            for key in list(contents):
                self.delete(partition, key)

    def _current_partition(self) -> int:
        partition: int = self.partition_for_key(None)
        return partition

    # Changelog, write side (called by the producer's flush)

    def take_changes(self) -> list[Changes]:
        """Encode what changed since the last call and start a new set; values are those of this instant."""
        dirty, self._dirty = self._dirty, defaultdict(dict)
        dumps_key, dumps_value = self._key_codec()[0], self._dumps_value
        changes = []
        for partition, changed in dirty.items():
            contents = self.data.partition(partition)
            values = [contents.get(key, _TOMBSTONE) for key in changed]
            changes.append(
                Changes(
                    self,
                    partition,
                    list(map(dumps_key, changed)),
                    [None if value is _TOMBSTONE else dumps_value(value) for value in values],
                )
            )
        return changes

    def on_changes_durable(self, partition: int, offset: int) -> None:
        """Note that memory is current to changelog ``offset`` of ``partition``."""
        self._offsets[partition] = offset

    # Changelog, read side (called by the consumer)

    def apply_changelog(
        self, partition: int, keys: Sequence[bytes], values: Sequence[bytes | None], offset: int
    ) -> None:
        """Apply entries in log order up to ``offset``; the last one of a key wins, or what ``supersedes`` says."""
        contents = self.data.partition(partition)
        loads_key, loads_value, supersedes = self._key_codec()[1], self._loads_value, self._supersedes
        entries = (
            dict(zip(keys, values, strict=True)).items()
            if supersedes is None
            else zip(keys, values, strict=True)
        )
        for raw_key, raw_value in entries:
            key = loads_key(raw_key)
            if raw_value is None:
                contents.pop(key, None)
                continue
            value = loads_value(raw_value)
            if supersedes is None or key not in contents or supersedes(value, contents[key]):
                contents[key] = value
        self._offsets[partition] = offset

    def persisted_offset(self, tp: TP) -> int | None:
        """Changelog offset that memory is current to: a partition that stays is not replayed after a rebalance."""
        return self._offsets.get(tp.partition)

    # Faust's life cycle

    def _new_store(self) -> PartitionedStore:
        return PartitionedStore(
            self._store or self.app.conf.store, self.app, self, table_name=self.name, loop=self.loop
        )

    def using_window(self, window: Any, *, key_index: bool = False) -> Any:
        """As Faust's, but the changelog is compacted only: its rows leave by tombstone, never by age."""
        if window.expires or key_index:
            raise ImproperlyConfigured(
                f"table {self.name}: expires and key_index are not supported, delete explicitly"
            )
        wrapper = super().using_window(window)
        self._changelog_deleting = None
        return wrapper

    def _key_codec(self) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
        windowed = self.window is not None
        return (
            self._dumps_key or (windows.dump_window_key if windowed else windows.dump_key),
            self._loads_key or (windows.load_window_key if windowed else windows.load_key),
        )

    async def on_start(self) -> None:
        register = getattr(self.app.producer, "register_table", None)
        if register is None:
            raise ImproperlyConfigured(f"table {self.name}: a batch table needs a k2batch:// broker")
        register(self)
        await super().on_start()

    async def on_rebalance(
        self,
        assigned: Iterable[TP],
        revoked: Iterable[TP],
        newly_assigned: Iterable[TP],
        generation_id: int = 0,
    ) -> None:
        """Forget partitions whose changelog this worker no longer reads."""
        held = {tp.partition for tp in assigned if tp.topic == self.changelog_topic_name}
        for partition in self.data.partitions.keys() - held:
            self.data.drop(partition)
        for partition in self._dirty.keys() - held:
            del self._dirty[partition]
        for partition in self._offsets.keys() - held:
            del self._offsets[partition]

    async def on_recovery_completed(self, active_tps: Iterable[TP], standby_tps: Iterable[TP]) -> None:
        """Run the on_recover callbacks; a failure stops the worker (Faust would drop it silently)."""
        self.active_partitions = frozenset(tp.partition for tp in active_tps)
        try:
            await self.call_recover_callbacks()
        except Exception as exc:
            await self.crash(exc)
            raise
