"""The tables of docs/data-dictionary.md, from schemas/, the registry of exchanges and the topics.

Columns of ClickHouse and Iceberg are those of tests/unit/golden/names.txt, which its own test holds to what
the migrations and the code create.
"""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, get_args

import msgspec

from k2stream import topics
from k2stream.avro import wire
from k2stream.exchanges import BUILT_IN
from k2stream.layers import certificates
from k2stream.layers.schema import KLINE_CHECKS
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.events import FeedEvent
from k2stream.resources import SCHEMAS
from k2stream.settings import KafkaSettings
from tests.unit.docs.generated import meanings
from tests.unit.docs.generated.markdown import code, docstring, table

GOLDEN = Path(__file__).parents[2] / "golden" / "names.txt"
STORED_AS = {"trade": ("silver_trades", "cold.silver_trades"), "candle": ("ohlcv_1m", "cold.gold_ohlcv_1m")}
FURTHER: dict[str, list[str]] = {
    "candle_certificates": certificates.SCHEMA.names,
    "kline_checks": KLINE_CHECKS.names,
    "sink_positions": [],
}
"""Tables that are made from no Avro schema, and their columns in order; none: as the golden file has them."""

DAY_MS, HOUR_MS = 86_400_000, 3_600_000


class Stored(NamedTuple):
    """A table of a tier: how it is partitioned and sorted, and its columns with their types."""

    keys: str
    columns: dict[str, str]


@cache
def _stored(section: str) -> dict[str, Stored]:
    """The tables of a section of the golden file."""
    text = re.split(r"^\[(.+)\]$", GOLDEN.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = dict(zip(text[1::2], text[2::2], strict=True))[section].splitlines()
    found: dict[str, Stored] = {}
    for line in filter(None, lines):
        name, _, rest = line.partition(" ")
        if re.match(r"(ReplacingMergeTree )?by ", rest):
            found.setdefault(name, Stored(rest, {}))
        elif not line.startswith("property "):
            of, _, column = name.rpartition(".")
            kind_ = rest.partition(" ")[2] if section == "iceberg" else rest
            found.setdefault(of, Stored("", {})).columns[column] = kind_
    return found


def _once(name: str) -> str:
    """A name with the timeframe left open, as one row stands for all of them."""
    return re.sub(rf"ohlcv_({'|'.join(TIMEFRAMES)})(?=_view$|$)", "ohlcv_<timeframe>", name)


def topics_table() -> str:
    """Every topic."""
    rows = {}
    for topic in topics.declared(KafkaSettings()):
        raw, candles = topic.name.endswith(".raw"), topic.name in map(topics.ohlcv, TIMEFRAMES)
        name = re.sub(r"[a-z]+(?=\.raw$)", "<exchange>", topic.name)
        name = f"{name.rpartition('.')[0]}.<timeframe>" if candles else name
        meaning = meanings.TOPICS["raw" if raw else "ohlcv" if candles else topic.name]
        value = {
            "json": "JSON",
            "trade": "Avro, [trade](#canonical-trades)",
            "candle": "Avro, [candle](#candles)",
        }
        rows[name] = (code(name), meaning, topic.key, value[topic.schema], _time(topic.retention_ms))
    return table(("topic", "what it holds", "key", "value", "kept"), rows.values())


def _time(ms: int) -> str:
    return f"{ms // HOUR_MS} hours" if ms <= 2 * DAY_MS else f"{ms // DAY_MS} days"


def record(name: str) -> str:
    """The fields of an Avro schema, with the types that the tables give them."""
    hot, cold = STORED_AS[name]
    clickhouse, iceberg = _stored("clickhouse")[hot].columns, _stored("iceberg")[cold].columns
    rows = [
        (code(field["name"]), code(_avro(field["type"])), code(clickhouse[field["name"]]),
         code(iceberg[field["name"]]), _said(field.get("doc", "")) or meanings.COLUMNS[field["name"]])
        for field in wire.declared(name)["fields"]
    ]  # fmt: skip
    added = clickhouse.keys() - {field["name"] for field in wire.declared(name)["fields"]}
    rows += [(code(each), "", code(clickhouse[each]), "", meanings.COLUMNS[each]) for each in sorted(added)]
    return table(("field", "Avro", "ClickHouse", "Iceberg", "meaning"), rows)


def _said(doc: str) -> str:
    return (doc[:1].lower() + doc[1:]).rstrip(".") if not doc.startswith("BASE") else ""


def _avro(of: Any) -> str:
    if isinstance(of, str):
        return of
    if of.get("logicalType") == "decimal":
        return f"{of['type']} decimal({of['precision']}, {of['scale']})"
    parameters = of.get("symbols") or [of.get("values") or of.get("items") or ""]
    return of.get("logicalType") or f"{of['type']}({', '.join(filter(None, parameters))})"


def raw_records() -> str:
    """The fields of each exchange's raw records and bronze tables."""
    return "\n\n".join(_raw(name) for name in BUILT_IN)


def _raw(name: str) -> str:
    native = BUILT_IN[name].native
    alike = next(each for each, exchange in BUILT_IN.items() if exchange.native.record is native.record)
    if alike != name:
        return f"### {name}\n\nThe fields of [{alike}](#{alike})."
    said = _comments(name)
    rows = [
        (code(field.name), _plain(field.type), code(native.renamed.get(field.name, field.name)),
         said.get(field.name) or meanings.RAW[field.name])
        for field in msgspec.structs.fields(native.record)
    ]  # fmt: skip
    return f"### {name}\n\n{table(('field', 'type', 'column in Iceberg', 'meaning'), rows)}"


def _plain(of: Any) -> str:
    """A type of a field in words."""
    options = [_plain(option) for option in get_args(of) if isinstance(option, type) or get_args(option)]
    words = {str: "text", int: "integer", bool: "boolean", NoneType: "null", msgspec.Raw: "text or number"}
    return words[of] if of in words else " or ".join(options)


@cache
def _bronze() -> dict[str, str]:
    """The columns of the bronze migration, by exchange."""
    text = (SCHEMAS / "clickhouse" / "002_bronze.sql").read_text(encoding="utf-8")
    return dict(re.findall(r"bronze_trades_(\w+)\n\((.*?)^\)", text, re.DOTALL | re.MULTILINE))


def _comments(name: str) -> dict[str, str]:
    return dict(re.findall(r"^    (\w+) [^\n]*-- (.*)$", _bronze().get(name, ""), re.MULTILINE))


def events() -> str:
    """The members of a feed event."""
    rows = ((code(field.name), _plain(field.type)) for field in msgspec.structs.fields(FeedEvent)[1:])
    return f"{docstring('FeedEvent')}\n\n{table(('member', 'type'), [('`kind`', 'text'), *rows])}"


def hot_tables() -> str:
    """The tables of ClickHouse."""
    rows = {
        _once(name): (code(_once(name)), _part(stored.keys, 0), _part(stored.keys, 1))
        for name, stored in _stored("clickhouse").items()
        if not name.endswith("_view")
    }
    return table(("table", "partitioned by", "sorted by"), rows.values())


def cold_tables() -> str:
    """The tables of Iceberg."""
    rows = {
        _once(name): (code(_once(name)), _part(stored.keys, 0), _part(stored.keys, 1))
        for name, stored in _stored("iceberg").items()
    }
    return table(("table", "partitioned by", "sorted by"), rows.values())


def _part(keys: str, which: int) -> str:
    found = keys.partition("by ")[2].split(" order by ")[which].strip().replace("`", "")
    found = re.sub(r"(identity)\((\w+)\)", r"\2", re.split(r" ?order by ", found)[0])
    return code(found) if found else "–"


def further_columns() -> str:
    """The columns of tables that are made from no Avro schema."""
    return "\n\n".join(f"### {name}\n\n{_columns(name, order)}" for name, order in FURTHER.items())


def _columns(name: str, order: Iterable[str]) -> str:
    found = _stored("clickhouse")[name].columns
    rows = ((code(each), code(found[each]), meanings.COLUMNS[each]) for each in [*order] or found)
    return table(("column", "type", "meaning"), rows)


def views() -> str:
    """The views of ClickHouse."""
    names = dict.fromkeys(_once(name) for name in _stored("clickhouse") if name.endswith("_view"))
    names = dict.fromkeys("exchange_spread_1m_view" if "spread" in name else name for name in names)
    return table(("view", "shows"), ((code(name), meanings.VIEWS[name]) for name in names))
