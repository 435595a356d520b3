"""How far each table is in its topic: live ones as reported by the sinks, rebuilt ones as after a swap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from k2stream import topics
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.route import Route
from k2stream.delivery.sink import Destination
from k2stream.kafka.reader import Reader
from k2stream.layers.routes import ROUTES
from k2stream.layers.table import TABLES
from k2stream.replay.places import Source
from k2stream.replay.source import SourceRange
from k2stream.settings import KafkaSettings

Ends = Mapping[Source, int]
"""By source, the raw offset after the last."""


def ends(plan: Sequence[SourceRange]) -> dict[Source, int]:
    """The raw offsets that a replay covers."""
    return {(part.exchange, part.partition): part.end for part in plan}


def bounds(covered: Ends, routes: Mapping[str, Route], sink: Destination | None) -> dict[str, Ends]:
    """By hot table, the raw offsets to compare: those covered, and for trades also written by the sink.

    `routes` are the sink's routes by hot table.
    """
    found: dict[str, Ends] = {}
    for table, route in routes.items():
        layer_table = TABLES[table]
        own = {source: end for source, end in covered.items() if layer_table.takes(source[0])}
        if sink is not None and not layer_table.timeframe:
            written = dict(_written(route, sink.positions(route)))
            own = {source: min(end, written.get(source, 0)) for source, end in own.items()}
        found[table] = own
    return found


def _written(route: Route, durable: Mapping[int, SinkPosition]) -> Iterator[tuple[Source, int]]:
    for number, position in durable.items():
        if route.topic == topics.NORMALIZED:
            for mark, offset in position.high_water_marks.items():
                exchange, _, partition = mark.rpartition(":")
                yield (exchange, int(partition)), offset + 1
        else:
            exchange = topics.exchange_of(route.topic)
            yield (exchange, number), position.offset + 1


async def after(
    settings: KafkaSettings, reader: Reader, covered: Ends
) -> dict[str, dict[SourcePartition, SinkPosition]]:
    """The positions from which sinks continue after a swap; of raw topics, those that the replay covers.

    For the other topics, the ends are correct as long as no worker writes to them.
    """
    found: dict[str, dict[SourcePartition, SinkPosition]] = {}
    for table, route in ROUTES.items():
        last = {number: end - 1 for (name, number), end in covered.items() if topics.raw(name) == route.topic}
        if not last:
            retained = await reader.retained(route.topic, settings.normalized_partitions)
            last = {number: end - 1 for number, (_, end) in retained.items()}
        silver = route.topic == topics.NORMALIZED
        found[table] = {
            SourcePartition(route.topic, number): SinkPosition(
                offset, _high_water_marks(covered, number) if silver else {}
            )
            for number, offset in last.items()
            if offset >= 0
        }
    return found


def _high_water_marks(covered: Ends, number: int) -> dict[str, int]:
    return {f"{name}:{part}": end - 1 for (name, part), end in covered.items() if part == number and end}
