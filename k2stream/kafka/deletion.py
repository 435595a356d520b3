"""Deletes the first records of logs, so that they do not come back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from k2stream.batch import TP
from k2stream.kafka.admin import Admin, connected
from k2stream.kafka.reader import Reader
from k2stream.settings import KafkaSettings

_KEPT_EVERY = "log.flush.start.offset.checkpoint.interval.ms"
_KEPT_EVERY_DEFAULT_MS = 60_000
_MARGIN_SECONDS = 1.0


async def delete_before(settings: KafkaSettings, firsts: Mapping[TP, int]) -> None:
    """Delete the records below an offset of each partition, and return once that is permanent.

    Kafka answers when a log begins later, and writes that down up to a minute later: a broker that is killed
    in between has the deleted records again (apache/kafka, `LogManager.checkpointLogStartOffsets`).
    """
    async with connected(settings) as admin:
        wait = await _kept_within(admin)
        while True:
            await admin.delete_records(
                {TopicPartition(*tp): RecordsToDelete(before_offset=first) for tp, first in firsts.items()}
            )
            await asyncio.sleep(wait)
            if await _are_deleted(settings, firsts):
                return


async def _are_deleted(settings: KafkaSettings, firsts: Mapping[TP, int]) -> bool:
    async with Reader(settings) as reader:
        begins = {tp: (await reader.retained(tp.topic, tp.partition + 1))[tp.partition][0] for tp in firsts}
    return all(begins[tp] >= first for tp, first in firsts.items())


async def _kept_within(admin: Admin) -> float:
    """Seconds after which the broker has written down where its logs begin; 0 if it does so at once."""
    names = [str(broker["node_id"]) for broker in (await admin.describe_cluster())["brokers"]]
    asked = [ConfigResource(ConfigResourceType.BROKER, name, {_KEPT_EVERY: None}) for name in names]
    intervals = []
    for answer in await admin.describe_configs(asked):
        for error, _, _, _, entries in answer.resources:
            if error:  # this user may not ask
                intervals.append(_KEPT_EVERY_DEFAULT_MS)
            intervals += [int(entry[1]) for entry in entries if entry[0] == _KEPT_EVERY]
    return max(intervals) / 1000 + _MARGIN_SECONDS if intervals else 0.0
