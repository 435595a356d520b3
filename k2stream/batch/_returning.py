"""A worker that reads again what its destination lost, without leaving its group."""
# ruff: noqa: SLF001 - the consumer's own parts

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from k2stream.batch._records import TP

if TYPE_CHECKING:
    from k2stream.batch._consumer import Consumer


async def go_back(consumer: Consumer, offsets: Mapping[TP, int], between: Callable[[], None]) -> None:
    """Read partitions again from these offsets, and all others from what is committed.

    `between` is called once no agent has a batch in hand and before any other is delivered. When a rebalance
    comes in, it is that which reads on, from what is committed by then.
    """
    async with consumer.app.returning:
        await _go_back(consumer, offsets, between)


def committed(consumer: Consumer) -> dict[TP, int]:
    """The offsets from which the worker's partitions go on after a crash; none while they are dealt out."""
    if consumer.app.rebalancing:
        return {}
    return {tp: end for tp in consumer.assignment() if (end := consumer._committed_offset.get(tp))}


async def _go_back(consumer: Consumer, offsets: Mapping[TP, int], between: Callable[[], None]) -> None:
    app = consumer.app
    consumer.stop_flow()
    app.flow_control.suspend()
    app.flow_control.clear()
    await consumer._wait_for_agents()
    between()
    consumer._forget(set(consumer._ledgers))
    while await consumer.maybe_wait_for_commit_to_finish():
        pass
    owned = {tp: offset for tp, offset in offsets.items() if tp in consumer.assignment()}
    if app.rebalancing or (owned and not await consumer._commit(owned)):
        return
    await consumer.perform_seek()
    if not app.rebalancing:
        app.flow_control.resume()
        consumer.resume_flow()
