"""What the batch engine takes for granted of faust-streaming 0.15.3 and aiokafka 0.14.0.

A test that fails here after an upgrade names the assumption: read the engine again before the pin moves.
"""

import asyncio
import inspect
from importlib.metadata import version
from types import SimpleNamespace

import aiokafka
import numpy as np
import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.consumer import fetcher, subscription_state
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator, MessageBatch
from aiokafka.producer.producer import AIOKafkaProducer
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from faust.agents.agent import Agent
from faust.app.base import App
from faust.streams import Stream
from faust.tables import base as table_base
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.conductor import Conductor
from faust.transport.consumer import Consumer
from faust.transport.drivers import aiokafka as driver
from faust.transport.producer import ProducerBuffer
from faust.types import TP

from k2stream.batch import BatchSchema, RecordBatch, _aiokafka
from k2stream.batch._message import message_of


def source(thing):
    return inspect.getsource(getattr(thing, "fun", thing))  # mode wraps service tasks


def test_versions_are_the_pinned_ones():
    assert version("faust-streaming") == "0.15.3"
    assert version("aiokafka") == "0.14.0"


@pytest.mark.parametrize(
    ("protocol", "owner"),
    [
        (_aiokafka.BatchBuilder, BatchBuilder),
        (_aiokafka.Client, AIOKafkaClient),
        (_aiokafka.Cluster, ClusterMetadata),
        (_aiokafka.Coordinator, GroupCoordinator),
        (_aiokafka.InnerBuilder, DefaultRecordBatchBuilder),
        (_aiokafka.KafkaConsumer, aiokafka.AIOKafkaConsumer),
        (_aiokafka.Assignment, subscription_state.Assignment),
        (_aiokafka.PartitionState, subscription_state.TopicPartitionState),
    ],
)
def test_what_type_checkers_are_told_of_aiokafka_is_so(protocol, owner):
    """Methods, and attributes where the class sets them."""
    code = inspect.getsource(owner) if protocol is not _aiokafka.InnerBuilder else ""
    for name in protocol.__annotations__:
        assert hasattr(owner, name) or f"self.{name} = " in code or f"self.{name}: " in code, name
    for name, method in vars(protocol).items():
        if inspect.isfunction(method) and not name.startswith("__"):
            theirs = getattr(owner, name)
            assert inspect.iscoroutinefunction(theirs) == inspect.iscoroutinefunction(method), name


# aiokafka: fetching


def test_a_fetcher_stores_results_without_an_await_before_it_returns():
    code = source(fetcher.Fetcher._proc_fetch_request)
    assert list(inspect.signature(fetcher.Fetcher._proc_fetch_request).parameters) == [
        "self",
        "assignment",
        "node_id",
        "request",
    ]
    assert "await " not in code[code.index("self._records[tp] = FetchResult(") :]


def test_an_answer_marks_the_partitions_whose_high_water_mark_it_gives():
    code = source(fetcher.Fetcher._proc_fetch_request)
    assert code.index("response = await") < code.index("now_ms = int(1000 * time.time())")
    assert "tp_state.highwater = highwater" in code and "tp_state.timestamp = now_ms" in code


def test_a_heartbeat_says_whether_the_group_has_this_member():
    code = source(GroupCoordinator._do_heartbeat)
    rebalancing = code[code.index("RebalanceInProgressError") : code.index("IllegalGenerationError")]
    assert "return True" in rebalancing
    gone = code[code.index("IllegalGenerationError") :]
    assert "UnknownMemberIdError" in gone and gone.rstrip().endswith("return False")


def test_the_request_loop_looks_the_fetch_method_up_at_every_call():
    assert "self._proc_fetch_request(assignment" in source(fetcher.Fetcher._fetch_requests_routine)


def test_a_fetch_result_reads_its_records_by_iterating_them():
    assert "for msg in self._partition_records" in source(fetcher.FetchResult.getall)
    assert "self._partition_records.next_fetch_offset" in source(fetcher.FetchResult._update_position)
    assert "return next(self._records_iterator)" in source(fetcher.PartitionRecords.__next__)
    for name in ("_tp", "_records", "_check_crcs", "next_fetch_offset"):
        assert f"self.{name} = " in source(fetcher.PartitionRecords.__init__)


def test_an_empty_set_of_partitions_means_all_of_them():
    assert "if partitions and tp not in partitions" in source(fetcher.Fetcher.fetched_records)


def test_a_fetch_is_sent_when_the_one_before_has_returned_and_what_it_brought_is_taken():
    routine = source(fetcher.Fetcher._fetch_requests_routine)
    assert "self._in_flight.add(node_id)" in routine
    assert "for waiter in self._fetch_waiters:" in routine
    assert "self._in_flight.discard(node_id)" in routine
    actions = source(fetcher.Fetcher._get_actions_per_node)
    assert "elif node_id in self._in_flight:" in actions
    assert "backoff = record.calculate_backoff()" in actions


def test_the_fetch_wait_is_read_when_the_consumer_starts():
    assert "fetch_max_wait_ms=self._fetch_max_wait_ms" in source(aiokafka.AIOKafkaConsumer.start)
    assert "self._fetcher = Fetcher(" in source(aiokafka.AIOKafkaConsumer.start)


def test_seeking_to_committed_leaves_partitions_that_never_were():
    assert "if offset and offset > 0" in source(aiokafka.AIOKafkaConsumer.seek_to_committed)


# aiokafka: sending


def test_a_batch_builder_counts_what_its_inner_builder_took():
    builder = BatchBuilder(10_000, 0)
    for n in range(3):
        assert builder._builder.append(n, 1, b"k", b"v", []) is not None
    builder._relative_offset = 3
    builder.close()
    assert builder.record_count() == 3
    assert builder.append(timestamp=1, key=b"k", value=b"v") is None


def test_an_inner_builder_refuses_what_does_not_fit_but_never_its_first_record():
    builder = BatchBuilder(100, 0)._builder
    assert builder.append(0, 1, None, b"x" * 500, []) is not None
    assert builder.append(1, 1, None, b"x", []) is None


def test_a_batch_waits_open_until_it_is_sent_and_is_never_changed_after():
    assert "self._batches = collections.defaultdict(collections.deque)" in source(MessageAccumulator.__init__)
    pop = source(MessageAccumulator._pop_batch)
    assert pop.index("popleft()") < pop.index("batch.record_count") < pop.index("batch.drain_ready()")
    assert "self.close()" in source(BatchBuilder._build)  # a batch that comes back for a retry is closed
    assert "tp in muted_partitions" in source(MessageAccumulator.drain_by_nodes)


def test_sending_a_batch_gives_the_future_of_its_delivery():
    assert "return future" in source(AIOKafkaProducer.send_batch)
    assert "base_offset" in inspect.signature(MessageBatch.done).parameters


def test_the_producer_buffer_can_be_counted():
    code = source(ProducerBuffer._handle_pending)
    assert code.index("await send_pending(msg)") < code.index("self.message_sent.set()")
    assert "send_pending = self._send_pending" in code


# Faust: delivery


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (Consumer, "_getmany", ["self", "active_partitions", "timeout"]),
        (Consumer, "_get_active_partitions", ["self"]),
        (Consumer, "_wait_for_ack", ["self", "timeout"]),
        (Consumer, "_filter_tps_with_pending_acks", ["self", "topics"]),
        (Consumer, "_new_offset", ["self", "tp"]),
        (Consumer, "_add_gap", ["self", "tp", "offset_from", "offset_to"]),
        (Consumer, "_commit", ["self", "offsets"]),
        (Consumer, "_commit_offsets", ["self", "offsets", "start_new_transaction"]),
        (Consumer, "maybe_wait_for_commit_to_finish", ["self"]),
        (Consumer, "perform_seek", ["self"]),
        (Consumer, "seek_wait", None),
        (Consumer, "on_partitions_revoked", ["self", "revoked"]),
        (Consumer, "on_task_error", ["self", "exc"]),
        (Consumer, "wait_empty", ["self"]),
        (Consumer, "stop_flow", ["self"]),
        (driver.AIOKafkaConsumerThread, "_create_worker_consumer", ["self", "transport"]),
        (driver.Consumer, "_new_consumer_thread", ["self"]),
        (driver.Producer, "_settings_extra", ["self"]),
        (ProducerBuffer, "_send_pending", ["self", "fut"]),
        (Recovery, "need_recovery", ["self"]),
        (Recovery, "flush_buffers", ["self"]),
        (Recovery, "standby_remaining_total", ["self"]),
        (TableManager, "on_standbys_ready", ["self"]),
        (table_base.Collection, "persisted_offset", ["self", "tp"]),
        (table_base.Collection, "_new_store", ["self"]),
        (Stream, "get_active_stream", ["self"]),
    ],
)
def test_a_private_method_has_the_signature_relied_on(owner, name, parameters):
    method = getattr(owner, name, None)
    if parameters is None:
        method = getattr(driver.Consumer, name)
        parameters = ["self", "partitions"]
    assert method is not None, f"{owner.__name__}.{name} is gone"
    assert list(inspect.signature(method).parameters) == parameters


def test_the_drain_loop_delivers_what_getmany_yields():
    code = source(Consumer._drain_messages)
    assert "async for tp, message in ait" in code
    assert "callback(message), self.suspend_flow.wait()" in code


def test_the_conductor_indexes_channels_by_topic_before_it_subscribes():
    assert "self._topic_name_index[topic].add(channel)" in source(Conductor._update_indices)
    assert "acks_enabled_for" in dir(Conductor)


def test_a_commit_asks_for_each_partition_and_then_commits_once():
    assert "self._new_offset(tp)" in source(Consumer._filter_committable_offsets)
    assert "await self._commit_offsets(" in source(Consumer._commit_tps)


def test_a_rejoined_group_makes_a_commit_return_false():
    assert '"already rebalanced" in str(exc)' in source(driver.AIOKafkaConsumerThread._commit)


# Faust: agents and streams


def test_an_actor_runs_under_a_method_that_can_be_replaced():
    assert "self._execute_actor(coro, aref)" in source(Agent._prepare_actor)
    assert "self._actors.add(aref)" in source(Agent._prepare_actor)
    assert "await coro" in source(Agent._execute_actor)


async def events_of(app, *offsets):
    """A stream of batches, and their messages."""
    app.flow_control.resume()
    topic = app.topic("t", schema=BatchSchema()).clone(is_iterator=True)
    app.topics._acking_topics.add("t")
    messages = []
    for offset in offsets:
        one = np.array([offset])
        batch = RecordBatch(TP("t", 0), one, one, [None], [b"v"])
        messages.append(message_of(batch.tp, batch, app.consumer_generation_id))
        messages[-1].incref()
        await topic.put(app.create_event(None, batch, None, messages[-1]))
    return topic.stream(), messages


async def test_a_stream_marks_a_message_acknowledged_when_the_next_is_asked_for(app):
    stream, (first, second) = await events_of(app, 1, 2)
    iterator = aiter(stream)
    assert (await anext(iterator)).last_offset == 1
    assert not first.acked
    assert stream.get_active_stream().current_event.message is first
    await anext(iterator)
    assert first.acked
    assert not second.acked
    waiting = asyncio.create_task(anext(iterator))
    await asyncio.sleep(0.01)
    assert second.acked
    assert stream.get_active_stream().current_event is None
    waiting.cancel()


async def test_a_manual_stream_acknowledges_nothing_by_itself(app):
    stream, (first, second) = await events_of(app, 1, 2)
    manual = stream.noack()
    assert stream.get_active_stream() is manual
    assert not manual.enable_acks
    events = aiter(manual.events())
    event = await anext(events)
    await anext(events)
    assert (event.message, first.acked) == (first, False)
    await manual.ack(event)
    assert (first.acked, second.acked) == (True, False)


async def test_a_closed_stream_acknowledges_the_batch_in_hand(app):
    """The reason why failed and cancelled batches are voided first."""
    stream, (first,) = await events_of(app, 1)
    iterator = aiter(stream)
    await anext(iterator)
    await iterator.aclose()
    assert first.acked


# Faust: recovery and stop


def test_recovery_asks_the_table_how_far_it_is():
    assert "table.persisted_offset(tp)" in source(Recovery._add)
    assert "self.signal_recovery_end.wait()" in source(Recovery._restart_recovery)


def test_tables_hear_of_a_rebalance_before_recovery_does():
    code = source(TableManager.on_rebalance)
    assert code.index("table.on_rebalance") < code.index("self.recovery.on_rebalance")


def test_recovery_runs_callbacks_then_seeks_then_resumes_flow():
    code = source(Recovery.on_recovery_completed)
    steps = ["table.on_recovery_completed(", "consumer.perform_seek()", "consumer.resume_flow()"]
    assert [code.index(step) for step in steps] == sorted(code.index(step) for step in steps)


def test_recovery_sets_the_fields_that_bulk_replay_reads(app):
    recovery = Recovery(app, app.tables)
    for name in ("active_tps", "standby_tps", "active_offsets", "standby_offsets", "in_recovery"):
        assert hasattr(recovery, name), f"Recovery.{name} is gone"


def test_a_stop_waits_for_streams_before_it_stops_agents():
    code = source(App._stop_consumer)
    assert code.index("self.flow_control.clear()") < code.index("self._consumer_wait_empty(")
    assert "if self.conf.stream_wait_empty" in source(App._consumer_wait_empty)


def test_a_changelog_topic_is_registered_under_its_table(app):
    table = SimpleNamespace(
        name="t", changelog_topic=SimpleNamespace(get_topic_name=lambda: "unit-t-changelog")
    )
    app.tables.add(table)
    assert app.tables._changelogs["unit-t-changelog"] is table


# Faust: web and tables as the pages of tables use them


def test_an_app_makes_its_web_server_in_one_place_from_its_driver():
    assert "return self._new_web()" in inspect.getsource(vars(App.__dict__["web"])["_cached_property__get"])
    assert "web_drivers.by_url(self.conf.web)(self)" in source(App._new_web)


def test_a_rebalance_is_counted_before_anything_is_revoked():
    assert "self.rebalancing_count += 1" in source(App.on_rebalance_start)
    listener = source(driver.ConsumerRebalanceListener.on_partitions_revoked)
    assert listener.index("on_rebalance_start()") < listener.index("thread.on_partitions_revoked(")
    recovered = source(Recovery.on_recovery_completed)
    assert recovered.index("table.on_recovery_completed(") < recovered.index("self.app.on_rebalance_end()")


def test_a_clone_of_a_table_is_made_of_its_info_without_its_data():
    assert "self.__class__(**{**self.info(), **kwargs})" in source(table_base.Collection.clone)
    assert "data" not in inspect.signature(table_base.Collection.__init__).parameters
