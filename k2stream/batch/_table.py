"""Tables with a write-behind changelog: coalesced by key, one batch per partition before each commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, ItemsView, Iterable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import msgspec
from faust import Table
from faust.exceptions import ImproperlyConfigured
from faust.types import AppT
from faust.types.tables import WindowWrapperT
from faust.types.windows import WindowT

from k2stream.batch import _windows as windows
from k2stream.batch import proof
from k2stream.batch._changes import NOTE_KEY, RESERVED, Changes
from k2stream.batch._generic import D, K, V
from k2stream.batch._records import TP
from k2stream.batch._store import PartitionedStore

if TYPE_CHECKING:
    from k2stream.batch._app import BatchApp

_TOMBSTONE: Any = object()


class BatchTable(Table[K, V]):
    """In-memory Faust table with explicit partitions: ``app.tables.add(BatchTable(app, name=...))``.

    Write with ``put`` and ``delete`` (in an agent the mapping syntax works too, on the partition of the
    current event); read it as a mapping. Send the outputs of a change *before* the ``put``: changelog entries
    become durable only after everything sent before them, so that state which suppresses replays never runs
    ahead of the outputs. ``on_recover`` callbacks run after every rebalance, before delivery: rebuild indexes
    there, from ``active_partitions`` and ``partition_items``.

    Codecs default to JSON; equal keys must encode to equal bytes. When ``supersedes(new, old)`` returns
    False, recovery keeps the old value: this protects state that contains its position from late entries of a
    zombie. In a flush, tables of a higher ``flush_stage`` are written once those of lower stages are durable.

    ``source`` names the topic that the table is built from, partition by partition. The changelog then
    records the table's position in that topic, and a table behind the committed position is refused.
    ``reach`` returns the highest source offset that a value contains, if values contain offsets.
    """

    if TYPE_CHECKING:
        app: BatchApp
        data: PartitionedStore[K, V]

    def __init__(
        self,
        app: AppT,
        *,
        dumps_key: Callable[[K], bytes] | None = None,
        loads_key: Callable[[bytes], K] | None = None,
        dumps_value: Callable[[V], bytes] = msgspec.json.encode,
        loads_value: Callable[[bytes], V] = msgspec.json.decode,
        supersedes: Callable[[V, V], bool] | None = None,
        flush_stage: int = 0,
        source: str = "",
        reach: Callable[[V], int] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(app, **options)
        self.source, self._reach = source, reach
        self.identities: dict[int, proof.LogIdentity] = {}
        self._new_identities: dict[int, proof.LogIdentity] = {}
        self.facts: dict[int, dict[bytes, bytes]] = {}
        self._new_facts: defaultdict[int, dict[bytes, bytes]] = defaultdict(dict)
        store = str(self._store or app.conf.store)
        if not store.startswith("memory:"):
            raise ImproperlyConfigured(f"table {self.name}: store {store} is not supported, use memory://")
        if self.is_global or self.use_partitioner:
            raise ImproperlyConfigured(f"table {self.name}: is_global and use_partitioner are not supported")
        self._dumps_key, self._loads_key = dumps_key, loads_key
        self._dumps_value, self._loads_value = dumps_value, loads_value
        self._supersedes = supersedes
        self.flush_stage = flush_stage
        self._dirty: defaultdict[int, dict[K, None]] = defaultdict(dict)
        self._overruled: defaultdict[int, dict[K, None]] = defaultdict(dict)
        self._offsets: dict[int, int] = {}
        self._forgotten = False
        self.active_partitions: frozenset[int] = frozenset()

    def info(self) -> Mapping[str, Any]:
        """Return what an empty copy is made of (`clone`); stock Faust leaves out what is of this class."""
        return {
            **super().info(),
            "dumps_key": self._dumps_key,
            "loads_key": self._loads_key,
            "dumps_value": self._dumps_value,
            "loads_value": self._loads_value,
            "supersedes": self._supersedes,
            "flush_stage": self.flush_stage,
            "source": self.source,
            "reach": self._reach,
        }

    # Reading and writing

    def put(self, partition: int, key: K, value: V) -> None:
        """Set one key in a partition."""
        self.data.partition(partition)[key] = value
        self._dirty[partition][key] = None

    def put_many(self, partition: int, items: Mapping[K, V]) -> None:
        """Set several keys in a partition."""
        self.data.partition(partition).update(items)
        self._dirty[partition].update(dict.fromkeys(items))

    def delete(self, partition: int, key: K) -> None:
        """Remove a key from a partition and write a tombstone; a missing key is not an error."""
        self.data.partition(partition).pop(key, None)
        self._dirty[partition][key] = None

    @overload
    def get_from(self, partition: int, key: K) -> V | None: ...
    @overload
    def get_from(self, partition: int, key: K, default: D) -> V | D: ...
    def get_from(self, partition: int, key: K, default: object = None) -> object:
        """Return a key's value in a partition, without searching the others."""
        return self.data.partitions.get(partition, {}).get(key, default)

    def partition_items(self, partition: int) -> ItemsView[K, V]:
        """Return a live view of a partition; empty when this worker does not own it."""
        return self.data.partitions.get(partition, {}).items()

    def identify(self, partition: int, identity: proof.LogIdentity) -> None:
        """Write with the next flush the source record up to which a partition is current."""
        if identity != self.identities.get(partition):
            self._new_identities[partition] = identity

    def keep(self, partition: int, name: bytes, value: bytes) -> None:
        """Store a fact about a partition in its changelog, separate from the entries (`facts`)."""
        if self.facts.setdefault(partition, {}).get(RESERVED + name) != value:
            self.facts[partition][RESERVED + name] = self._new_facts[partition][RESERVED + name] = value

    def fact(self, partition: int, name: bytes) -> bytes | None:
        """Return a fact about a partition, or None."""
        return self.facts.get(partition, {}).get(RESERVED + name)

    def reach(self, partition: int) -> int:
        """Return the highest source offset in a partition's values, -1 for none."""
        if self._reach is None:
            return -1
        return max(map(self._reach, self.data.partitions.get(partition, {}).values()), default=-1)

    def __setitem__(self, key: K, value: V) -> None:
        self.put(self._current_partition(), key, value)

    def __delitem__(self, key: K) -> None:
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
        partition = self.partition_for_key(None)
        if partition is None:
            raise TypeError(f"table {self.name}: no partition is known here, use put and delete")
        return partition

    # Changelog, write side: the producer's flush calls these

    def take_changes(self) -> list[Changes[K, V]]:
        """Encode the current values of all keys changed since the last call, and start a new set of changes.

        Partitions without changes are omitted, for instance after a delivery that contained only replays. A
        table that was forgotten has none until it is recovered: who was replaced writes no changelog.
        """
        if self._forgotten:
            return []
        dirty, self._dirty = self._dirty, defaultdict(dict)
        identities, self._new_identities = self._new_identities, {}
        self.identities |= identities
        dumps_key, dumps_value = self.key_codec()[0], self._dumps_value
        taken = []
        facts, self._new_facts = self._new_facts, defaultdict(dict)
        for partition in dirty.keys() | identities.keys() | facts.keys():
            changed = dirty.get(partition, {})
            contents = self.data.partition(partition)
            values = [contents.get(key, _TOMBSTONE) for key in changed]
            encoded = [None if value is _TOMBSTONE else dumps_value(value) for value in values]
            keys = list(map(dumps_key, changed))
            keys += facts.get(partition, {}).keys()
            encoded += facts.get(partition, {}).values()
            if partition in identities:  # last: a changelog truncated within a flush lacks it
                keys.append(NOTE_KEY)
                encoded.append(proof.write(identities[partition]).encode())
            if keys:
                taken.append(Changes(partition, contents, keys, encoded))
        return taken

    def on_durable(self, changes: Changes[K, V], last_offset: int) -> None:
        """Record that memory is current to ``last_offset``, unless the partition was revoked meanwhile.

        Where the log has more new entries than were written, a worker that was replaced wrote the others: all
        keys are written again, as compaction keeps only the last entry of each.
        """
        number, contents = changes.partition, changes.contents
        if self.data.partitions.get(number) is contents:
            before = self._offsets.get(number)
            if before is not None and last_offset - before > len(changes.keys):
                self._dirty[number].update(dict.fromkeys(contents))
            self._offsets[number] = last_offset

    # Changelog, read side: the consumer calls these

    def apply_changelog(
        self, partition: int, keys: Sequence[bytes | None], values: Sequence[bytes | None], offset: int
    ) -> None:
        """Apply entries in log order up to ``offset``; a key's last entry wins, or ``supersedes`` decides.

        A key whose last entry does not win is written again after the recovery, before compaction keeps that.
        """
        contents = self.data.partition(partition)
        loads_key, loads_value, supersedes = self.key_codec()[1], self._loads_value, self._supersedes
        entries: Iterable[Any] = zip(keys, values, strict=True)
        if supersedes is None:
            entries = dict(entries).items()
        for raw_key, raw_value in entries:
            if raw_key == NOTE_KEY:
                self._recall(partition, raw_value)
                continue
            if raw_key is not None and raw_key.startswith(RESERVED):
                self.facts.setdefault(partition, {})[raw_key] = raw_value or b""
                continue
            key = loads_key(raw_key)
            if raw_value is None:
                contents.pop(key, None)
                continue
            value = loads_value(raw_value)
            if supersedes is None or key not in contents or supersedes(value, contents[key]):
                contents[key] = value
            else:
                self._overruled[partition][key] = None
        self._offsets[partition] = offset

    def _recall(self, partition: int, text: bytes | None) -> None:
        """Keep the latest identity: one with an earlier position may come from a zombie."""
        found, known = proof.read(text), self.identities.get(partition)
        if found is not None and (known is None or found.place >= known.place):
            self.identities[partition] = found

    def persisted_offset(self, tp: TP) -> int | None:
        """Return the changelog offset that memory is current to; a partition that stays is not replayed."""
        return self._offsets.get(tp.partition)

    def key_codec(self) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
        """Return the encoder and decoder of changelog keys."""
        windowed = self.window is not None
        return (
            self._dumps_key or (windows.dump_window_key if windowed else windows.dump_key),
            self._loads_key or (windows.load_window_key if windowed else windows.load_key),
        )

    def forget(self) -> None:
        """Drop everything, also unwritten changes, until recovery has read the whole changelog again."""
        self._forgotten = True
        self._drop()

    def _drop(self) -> None:
        for state in self._by_partition():
            state.clear()
        recovery = self.app.tables.recovery  # it would resume from its last offset
        for offsets in (recovery.active_offsets, recovery.standby_offsets):
            for tp in [tp for tp in offsets if tp.topic == self.changelog_topic_name]:
                del offsets[tp]

    def _by_partition(self) -> tuple[MutableMapping[int, Any], ...]:
        stated = (self.identities, self._new_identities, self.facts, self._new_facts)
        return self.data.partitions, self._dirty, self._overruled, self._offsets, *stated

    # Faust's life cycle

    def _new_store(self) -> PartitionedStore[K, V]:
        url = self._store or self.app.conf.store
        return PartitionedStore(url, self.app, self, table_name=self.name, loop=self.loop)

    def using_window(self, window: WindowT, *, key_index: bool = False) -> WindowWrapperT:
        """Return a windowed table as in Faust, but without expiry of changelog entries by age."""
        if window.expires or key_index:
            raise ImproperlyConfigured(
                f"table {self.name}: expires and key_index are not supported, delete closed windows yourself"
            )
        wrapper = super().using_window(window)
        self._changelog_deleting = None
        return wrapper

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
        """Drop the partitions whose changelog this worker no longer reads."""
        if self._forgotten:
            self._drop()  # an agent or a flush that was under way may have added to the empty table
        owned = {tp.partition for tp in assigned if tp.topic == self.changelog_topic_name}
        for state in self._by_partition():
            for partition in state.keys() - owned:
                del state[partition]

    async def on_recovery_completed(self, active_tps: Iterable[TP], standby_tps: Iterable[TP]) -> None:
        """Run the on_recover callbacks; a failure stops the worker before delivery (Faust would go on)."""
        self.active_partitions = frozenset(tp.partition for tp in active_tps)
        self._forgotten = False
        for partition in self.active_partitions:
            self._dirty[partition].update(self._overruled.pop(partition, {}))
        try:
            await self.call_recover_callbacks()
        except Exception as exc:
            await self.app.consumer.give_up(exc)
