"""What stands in Kafka, ClickHouse, Iceberg and the registry, as this code would write it."""

import json
from collections.abc import Iterator
from hashlib import sha256
from importlib import import_module
from typing import Any

from chdb.session import Session

from k2stream import topics
from k2stream.app import App, create_app
from k2stream.avro import wire
from k2stream.batch._changes import NOTE_KEY, RESERVED
from k2stream.candles import codec
from k2stream.candles.state import State
from k2stream.clickhouse.migrate import FOLDER, statements
from k2stream.delivery.progress import Piece, SinkBatch, SinkPosition, SourcePartition
from k2stream.dlq.plan import HEADER
from k2stream.exchanges import raw
from k2stream.iceberg import owner, writer
from k2stream.iceberg.tables import PROPERTIES, TABLES, schema_of
from k2stream.kafka.groups import gap_fill_group
from k2stream.mend.lift import COPIED
from k2stream.resources import SCHEMAS
from k2stream.settings import KafkaSettings
from k2stream.tables.ohlcv import RETENTION

ROLES = ("normalize", "candles", "hot", "cold", "certify")
"""Those with a consumer group."""

_AT = SourcePartition("topic", 1)


def apps() -> list[App]:
    """The app of each role, with its agents, tables and pages."""
    for role in ROLES:
        import_module(f"k2stream.agents.{role}")
    return [create_app(role) for role in ROLES]


def declared_topics() -> Iterator[str]:
    """The topics beside the changelogs."""
    yield from (topic.name for topic in topics.declared(KafkaSettings()))


def groups() -> Iterator[str]:
    """Consumer groups: Faust names one for its app."""
    yield from (app.conf.id for app in apps())
    yield from map(gap_fill_group, topics.EXCHANGES)


def tables() -> Iterator[str]:
    """Faust's tables."""
    yield from (name for app in apps() for name in app.tables)


def changelogs() -> Iterator[str]:
    """Their changelog topics."""
    yield from (topic.name for app in apps() for topic in app.changelogs())


def changelog_entries() -> Iterator[str]:
    """Bytes of what the changelogs hold beside JSON: reserved keys, windows, and one value of each layout."""
    yield f"reserved key {RESERVED!r}, note {NOTE_KEY!r}, retention {RESERVED + RETENTION!r}"
    window = dict(
        zip(State.__struct_fields__, [*range(1, 5), (5, 6, 7), (8, 9, 10), *range(11, 20)], strict=False)
    )
    yield f"window state {codec.dumps_state(State(**window)).hex()}"
    yield f"key progress {codec.dumps_progress(codec.KeyProgress(1, 2)).hex()}"
    candles: Any = create_app("candles").tables["ohlcv_1m"]
    yield f"window key {candles.key_codec()[0](('exchange:A/B', (60.0, 119.9)))!r}"
    positions: Any = create_app("normalize").tables[f"positions_{topics.EXCHANGES[0]}"]
    yield f"symbol key {positions.key_codec()[0]('AB')!r}"


def records() -> Iterator[str]:
    """Headers and marks of records, and what batches are named by."""
    yield f"header of a dead letter put back {HEADER}"
    yield f"header of a lifted record {COPIED}"
    yield f"mark of a fetched record {raw.BACKFILLED.decode()}"
    yield f"connection of a fetched record {raw.FETCHED}"
    piece: Piece[Any, Any] = Piece(_AT, 2, 5, {}, None, 4, None, epoch="e")
    yield f"token of an insert {SinkBatch((piece,)).token}"


def schemas() -> Iterator[str]:
    """Each field of the Avro schemas, in order."""
    for path in sorted((SCHEMAS / "avro").glob("*.avsc")):
        schema = wire.declared(path.stem)
        yield f"{path.stem} {schema.get('namespace')}.{schema['name']}"
        for place, field in enumerate(schema["fields"]):
            default = f" = {json.dumps(field['default'])}" if "default" in field else ""
            yield f"{path.stem}[{place:02}] {field['name']}: {json.dumps(field['type'])}{default}"


def migrations() -> Iterator[str]:
    """The files, and what is in them."""
    for path in sorted(FOLDER.glob("[0-9]*.sql")):
        yield f"{path.name} {sha256(path.read_bytes()).hexdigest()}"


def clickhouse() -> Iterator[str]:
    """Columns of tables and views and the tables' keys, as the engine has them after all migrations."""
    engine = Session()
    engine.query("CREATE DATABASE k2")
    for path in sorted(FOLDER.glob("[0-9]*.sql")):
        for statement in statements(path.read_text(encoding="utf-8"), "k2"):
            engine.query(statement)
    for query in (
        "SELECT table || '.' || name || ' ' || type FROM system.columns WHERE database = 'k2'",
        "SELECT name || ' ' || engine || ' by ' || partition_key || ' order by ' || sorting_key "
        "FROM system.tables WHERE database = 'k2' AND engine != 'View'",
    ):
        yield from engine.query(query, "TSVRaw").bytes().decode().splitlines()
    engine.close()


def iceberg() -> Iterator[str]:
    """Columns with their ids, partitions and order of the tables, and the properties of each."""
    for table in TABLES.values():
        for field in schema_of(table.route.schema).fields:
            yield f"{table.name}.{field.name} {field.field_id} {field.field_type}"
        parts = ", ".join(f"{transform}({name})" for name, transform in table.partitions)
        yield f"{table.name} by {parts} order by {', '.join(table.order)}"
    yield from (f"property {name} = {value}" for name, value in PROPERTIES.items())


def snapshots() -> Iterator[str]:
    """Properties of a snapshot, and what says whose a location is."""
    held = {_AT: SinkPosition(5, {"exchange:0": 7}, "e", "s")}
    yield from (f"{name} = {text}" for name, text in writer._encode(held).items())
    yield f"owner file {owner.MARKER}"
    yield f"namespace {owner.NAMESPACE}, property {owner.PROPERTY}"
