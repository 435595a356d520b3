"""Moves a worker back to earlier offsets, to refill its destination, without leaving the group."""
# ruff: noqa: SLF001 - private parts of our consumer

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from k2stream.batch._records import TP

if TYPE_CHECKING:
    from k2stream.batch._consumer import Consumer


async def go_back(consumer: Consumer, offsets: Mapping[TP, int], between: Callable[[], None]) -> None:
    """Read partitions again from these offsets, and all others from their committed offsets.

    `between` is called when no agent is processing a batch, before the next one is delivered. If a rebalance
    intervenes, reading continues from the offsets that are committed by then.
    """
    async with consumer.app.returning:
        await _go_back(consumer, offsets, between)


def committed(consumer: Consumer) -> dict[TP, int]:
    """Return the committed offsets of the worker's partitions; none during a rebalance."""
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
