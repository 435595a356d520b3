import json

import pytest
from faust.exceptions import ImproperlyConfigured
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from k2stream.batch import BatchApp, BatchTable, batch_app_options, window_key
from k2stream.batch._changes import NOTE_KEY
from k2stream.batch.proof import Proof, identity, read, write


@pytest.fixture
def table(app):
    return BatchTable(app, name="t", partitions=4)


def taken(table):
    """Changes as {partition: {key: value}}, decoded."""
    return {
        change.partition: {
            json.loads(key): None if value is None else json.loads(value)
            for key, value in zip(change.keys, change.values, strict=True)
        }
        for change in table.take_changes()
    }


def test_changes_are_coalesced_by_key_and_taken_once(table):
    table.put(1, "a", 1)
    table.put(1, "a", 2)
    table.put_many(1, {"b": 3})
    table.put(2, "c", 4)
    assert taken(table) == {1: {"a": 2, "b": 3}, 2: {"c": 4}}
    assert taken(table) == {}


def test_a_change_is_encoded_when_it_is_taken(table):
    value = [1]
    table.put(0, "a", value)
    (change,) = table.take_changes()
    value.append(2)
    assert change.values == [b"[1]"]


def test_a_deleted_key_leaves_a_tombstone_until_it_is_put_again(table):
    table.put(0, "a", 1)
    table.delete(0, "a")
    table.delete(0, "never")
    assert taken(table) == {0: {"a": None, "never": None}}
    table.delete(0, "a")
    table.put(0, "a", 2)
    assert taken(table) == {0: {"a": 2}}


def test_reads_as_a_mapping_over_partitions(table):
    table.put(0, "a", 1)
    table.put(3, "b", 2)
    assert (table["a"], table.get("b"), table.get("c"), "b" in table, len(table)) == (1, 2, None, True, 2)
    assert dict(table.items()) == {"a": 1, "b": 2}
    assert (sorted(table.keys()), sorted(table.values())) == (["a", "b"], [1, 2])
    assert (table.get_from(3, "b"), table.get_from(0, "b"), table.get_from(2, "b", 9)) == (2, None, 9)
    assert dict(table.partition_items(3)) == {"b": 2}
    assert dict(table.partition_items(1)) == {}
    with pytest.raises(KeyError):
        table["c"]


def test_reads_through_a_tumbling_window(app):
    table = BatchTable(app, name="w", partitions=4)
    windowed = table.tumbling(60.0)
    table.put(2, window_key("BTC", 120, 60), {"count": 7})
    assert table._windowed_timestamp("BTC", 150.0) == {"count": 7}
    assert windowed["BTC"][120.0, 179.9] == {"count": 7}
    (change,) = table.take_changes()
    assert change.keys == [b'["BTC",[120.0,179.9]]']
    table.apply_changelog(0, change.keys, [b'{"count":8}'], 0)
    assert table.get_from(0, window_key("BTC", 120, 60)) == {"count": 8}
    assert table.changelog_topic.compacting
    assert not table.changelog_topic.deleting


def test_own_codecs(app):
    table = BatchTable(
        app, name="raw", dumps_key=str.encode, loads_key=bytes.decode, dumps_value=bytes, loads_value=bytes
    )
    table.put(0, "a", b"\x00")
    (change,) = table.take_changes()
    assert (change.keys, change.values) == ([b"a"], [b"\x00"])
    table.apply_changelog(1, [b"b"], [b"\x01"], 0)
    assert table["b"] == b"\x01"


def test_the_last_entry_of_a_key_wins_on_replay(table):
    table.apply_changelog(0, [b'"a"', b'"b"', b'"a"', b'"b"'], [b"1", b"2", b"3", None], 41)
    assert dict(table.partition_items(0)) == {"a": 3}
    assert table.persisted_offset(TP("any", 0)) == 41
    assert taken(table) == {}


def test_a_zombies_late_entry_does_not_supersede(app):
    table = BatchTable(app, name="t", supersedes=lambda new, old: new["position"] >= old["position"])
    entries = [b'{"position":5}', b'{"position":9}', b'{"position":7}']
    table.apply_changelog(0, [b'"a"'] * 3, entries, 2)
    assert table["a"] == {"position": 9}


def latest(new, old):
    return new["position"] >= old["position"]


async def test_what_a_replaced_worker_wrote_last_is_written_over_after_the_recovery(app):
    """Compaction keeps the last entry of a key: the next recovery would know no other."""
    table = BatchTable(app, name="t", partitions=2, supersedes=latest)
    entries = [b'{"position":5}', b'{"position":9}', b'{"position":7}']
    for partition in (0, 1):
        table.apply_changelog(partition, [b'"a"'] * 3, entries, 2)
    topic = table.changelog_topic_name
    await table.on_recovery_completed({TP(topic, 0)}, {TP(topic, 1)})
    written = [(change.partition, change.keys, change.values) for change in table.take_changes()]
    assert written == [(0, [b'"a"'], [b'{"position":9}'])]  # a standby writes nothing
    assert table.take_changes() == []


def test_what_a_replaced_worker_writes_later_is_written_over(app):
    """It was frozen with a batch on its way: it arrives after the new owner's entries."""
    table = BatchTable(app, name="t")
    table.put_many(0, {"a": 1, "b": 2})
    (change,) = table.take_changes()
    table.on_durable(change, 1)
    table.put(0, "a", 3)
    (change,) = table.take_changes()
    table.on_durable(change, 2)
    assert table.take_changes() == []
    table.put(0, "a", 4)
    (change,) = table.take_changes()
    table.on_durable(change, 5)  # two more than were written
    assert taken(table) == {0: {"a": 4, "b": 2}}


async def test_what_is_forgotten_is_neither_written_nor_current(table):
    table.put(0, "a", 1)
    (taken_before,) = table.take_changes()
    table.put(0, "a", 2)
    changelog, other = TP(table.changelog_topic_name, 0), TP("other-changelog", 0)
    recovery = table.app.tables.recovery
    recovery.active_offsets.update({changelog: 7, other: 7})
    table.forget()
    table.on_durable(taken_before, 10)
    assert dict(table.items()) == taken(table) == {}
    assert table.persisted_offset(changelog) is None
    recovery.add_active(table, changelog)
    assert recovery.active_offsets == {changelog: None, other: 7}


async def test_a_worker_that_was_replaced_writes_nothing_of_a_table_that_it_forgot(app):
    """A fact that a flush added to the forgotten table was written: it covered nothing up to that offset."""
    table = app.tables.add(BatchTable(app, name="replaced", partitions=1, source="raw"))
    changelog = TP(table.changelog_topic_name, 0)
    table.put(0, "a", 1)
    table.forget()
    table.keep(0, b"published", b"7")
    table.identify(0, identity(Proof(9, 1, 1)))
    table.put(0, "late", 2)
    assert table.take_changes() == []
    await table.on_rebalance({changelog}, set(), set())
    assert table.persisted_offset(changelog) is None
    assert (dict(table.items()), table.facts, table.identities) == ({}, {}, {})
    table.apply_changelog(0, [b'"a"'], [b"1"], 5)
    assert table.take_changes() == []
    await table.on_recovery_completed({changelog}, set())
    table.keep(0, b"published", b"8")
    assert [change.keys for change in table.take_changes()] == [[b"\0published"]]


operations = st.lists(
    st.tuples(st.sampled_from("pd"), st.integers(0, 2), st.sampled_from("abc"), st.integers(0, 9)),
    max_size=40,
)


@given(operations, st.integers(1, 7))
def test_the_changelog_rebuilds_the_table(operations, flush_every):
    app = BatchApp("unit", **batch_app_options("127.0.0.1:9"), web_enabled=False)
    table, copy = BatchTable(app, name="t"), BatchTable(app, name="copy")
    for n, (operation, partition, key, value) in enumerate(operations):
        if operation == "p":
            table.put(partition, key, value)
        else:
            table.delete(partition, key)
        if n % flush_every == 0 or n == len(operations) - 1:
            for change in table.take_changes():
                copy.apply_changelog(change.partition, change.keys, change.values, n)
    for partition in range(3):
        assert dict(copy.partition_items(partition)) == dict(table.partition_items(partition))


async def test_a_rebalance_forgets_what_moved_away(table):
    table.put(0, "stays", 1)
    table.put(1, "leaves", 2)
    (_, leaving) = table.take_changes()
    table.put(1, "leaves", 3)
    topic = table.changelog_topic_name
    await table.on_rebalance({TP(topic, 0), TP("source", 1)}, set(), set())
    assert dict(table.items()) == {"stays": 1}
    assert taken(table) == {}
    # Its flush ends after it left, or after it came back empty: memory is not current to that offset.
    table.on_durable(leaving, 10)
    table.put(1, "back", 4)
    table.on_durable(leaving, 10)
    assert table.persisted_offset(TP(topic, 1)) is None


async def test_recover_callbacks_see_the_active_partitions(table):
    seen = []

    @table.on_recover
    async def recovered():
        seen.append(table.active_partitions)

    topic = table.changelog_topic_name
    await table.on_recovery_completed({TP(topic, 0), TP(topic, 2)}, {TP(topic, 1)})
    assert seen == [{0, 2}]


async def test_a_failed_recover_callback_stops_the_worker_before_anything_is_delivered(table):
    @table.on_recover
    async def recovered():
        raise RuntimeError("index")

    await table.on_recovery_completed(set(), set())
    consumer = table.app.consumer
    assert consumer.crashed
    with pytest.raises(RuntimeError, match="index"):  # the next step of the recovery
        await consumer._check_positions([], set())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"is_global": True}, "is_global"),
        ({"use_partitioner": True}, "use_partitioner"),
    ],
)
def test_what_is_not_supported_is_refused(app, options, message):
    with pytest.raises(ImproperlyConfigured, match=message):
        BatchTable(app, name="t", **options)


def test_another_store_is_refused():
    app = BatchApp("unit", **batch_app_options("127.0.0.1:9", store="rocksdb://"))
    with pytest.raises(ImproperlyConfigured, match="table t: store rocksdb: is not supported, use memory://"):
        BatchTable(app, name="t")


def test_windows_that_expire_are_refused(table):
    with pytest.raises(ImproperlyConfigured, match="expires"):
        table.tumbling(60.0, expires=3600.0)


def test_writing_without_a_partition_says_how(table):
    with pytest.raises(TypeError, match="outside of stream iteration"):
        table["a"] = 1
    with pytest.raises(TypeError, match="put"):
        table.data["a"] = 1


def test_the_changelog_says_up_to_which_record_a_partition_is_and_recovery_reads_it(app):
    first = identity(Proof(99, 1000, 7))
    table = app.tables.add(BatchTable(app, name="made", partitions=2, source="raw"))
    table.put(1, "a", 1)
    table.identify(1, first)
    (changes,) = table.take_changes()
    assert (changes.keys[-1], read(changes.values[-1])) == (NOTE_KEY, first)  # last: what is cut lacks it
    table.identify(1, first)
    assert not table.take_changes()
    other = BatchTable(app, name="made", partitions=2, source="raw")
    other.apply_changelog(1, changes.keys, changes.values, 5)
    assert dict(other.partition_items(1)) == {"a": 1}
    assert other.identities == {1: first}
    zombie = write(identity(Proof(50, 900, 8))).encode()
    other.apply_changelog(1, [NOTE_KEY], [zombie], 6)
    assert other.identities == {1: first}
    mended = identity(Proof(20, 900, 8), generation=1)
    other.apply_changelog(1, [NOTE_KEY], [write(mended).encode()], 7)
    assert other.identities == {1: mended}
    other.forget()
    assert other.identities == {}


def test_a_partition_without_changes_is_noted_too_and_one_that_left_is_forgotten(app):
    table = app.tables.add(BatchTable(app, name="made", partitions=2, source="raw"))
    table.identify(0, identity(Proof(9, 1, 1)))
    assert [change.keys for change in table.take_changes()] == [[NOTE_KEY]]


def test_what_values_know_of_their_source_is_their_reach(app):
    table = BatchTable(app, name="reaching", partitions=1, reach=lambda value: value["at"])
    assert table.reach(0) == -1
    table.put(0, "a", {"at": 5})
    table.put(0, "b", {"at": 3})
    assert table.reach(0) == 5
