"""Compares a layer's rows with the oracle's: row by row, column by column, in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from k2stream.model.comparison import MOST, Comparison, Difference
from k2stream.reconcile.oracle.engine import OracleEngine
from k2stream.reconcile.oracle.trades import COMPARED

KEY = ("exchange", "raw_partition", "raw_offset")


class OracleLayer(NamedTuple):
    """A table of the engine with a layer's rows, and the expected table to compare it with.

    `expected` has the columns of KEY and `columns`, `required`, and all columns that the conditions use.
    `lasting`: SQL condition for expected rows that the layer must still have. `unsure`: for those that cannot
    be decided. `since`: for the layer's rows that can be compared. `repeats`: whether the layer may repeat a
    row.
    """

    name: str
    stored: str
    expected: str
    columns: Sequence[str] = COMPARED
    lasting: str = "1"
    since: str = "1"
    unsure: str = "unsure"
    repeats: bool = False
    reason: str = "older than the first raw record that is left"


def compare(engine: OracleEngine, layer: OracleLayer) -> Comparison:
    """Compare a layer's rows with the expected ones."""
    result = Comparison(layer.name, reason=layer.reason)
    known = f"(SELECT *, {layer.unsure} AS open FROM {layer.expected})"
    joined = f"""(SELECT * FROM {layer.stored} WHERE {layer.since}) AS f
        ANY LEFT JOIN (SELECT *, 1 AS present FROM {known}) AS e ON {_same("f", "e")}"""
    ((compared, newer),) = engine.rows(
        f"SELECT count(), countIf(e.present AND NOT e.required) FROM {joined} WHERE NOT e.open"
    )
    result.compared, result.newer = int(compared), int(newer)
    later = f"SELECT count() FROM {known} WHERE NOT required AND NOT open AND ({layer.lasting})"
    result.coming = max(engine.number(later) - result.newer, 0)
    stored = engine.number(f"SELECT count() FROM {layer.stored}")
    result.skipped = stored - result.compared
    pairs = ", ".join(
        f"('{name}', ifNull(toString(e.{name}), 'none'), ifNull(toString(f.{name}), 'none'))"
        for name in layer.columns
    )
    different = f"arrayFilter(x -> x.2 != x.3, [{pairs}])"
    for *key, present, fields in engine.rows(
        f"""SELECT f.exchange, f.raw_partition, f.raw_offset, e.present, {different} AS fields FROM {joined}
        WHERE NOT e.open AND (e.present = 0 OR notEmpty(fields)) LIMIT {MOST}"""
    ):
        what = _name(key)
        if not int(present):
            result.rows("surplus", [what])
            continue
        result.add(Difference(layer.name, what, *item) for item in fields)
    result.add(_missing(engine, layer, known))
    if not layer.repeats:
        result.add(_doubled(engine, layer))
    return result


def _missing(engine: OracleEngine, layer: OracleLayer, known: str) -> list[Difference]:
    rows = engine.rows(
        f"""SELECT e.exchange, e.raw_partition, e.raw_offset
        FROM (SELECT * FROM {known} WHERE required AND NOT open AND ({layer.lasting})) AS e
        LEFT ANTI JOIN {layer.stored} AS f ON {_same("e", "f")} LIMIT {MOST}"""
    )
    return [Difference(layer.name, _name(key), "row", "present", "missing") for key in rows]


def _doubled(engine: OracleEngine, layer: OracleLayer) -> list[Difference]:
    rows = engine.rows(
        f"""SELECT {", ".join(KEY)}, toUInt32(count()) AS times FROM {layer.stored}
        GROUP BY {", ".join(KEY)} HAVING times > 1 LIMIT {MOST}"""
    )
    return [Difference(layer.name, _name(key), "rows", 1, int(times)) for *key, times in rows]


def _same(a: str, b: str) -> str:
    return " AND ".join(f"{a}.{name} = {b}.{name}" for name in KEY)


def _name(key: Sequence[Any]) -> str:
    exchange, partition, offset = key
    return f"{exchange} raw record {partition}:{offset}"


def processed(engine: OracleEngine, layer: OracleLayer, topic: str) -> list[Difference]:
    """Rows whose process time is in none of the topic's records of the same trade.

    Two kinds are left out. A rebuilt layer has the receive time, as the first processing time is unknown. And
    a topic that was lost and filled again may only have later records of a trade.
    """
    where = ", ".join(KEY)
    rows = engine.rows(
        f"""SELECT {where}, process_time FROM {layer.stored} AS stored
        INNER JOIN (SELECT {where}, min(process_time) AS earliest FROM {topic} GROUP BY {where}) AS records
            USING ({where})
        WHERE process_time != receive_time AND process_time >= earliest
            AND ({where}, process_time) NOT IN (SELECT {where}, process_time FROM {topic}) LIMIT {MOST}"""
    )
    return [
        Difference(layer.name, _name(key), "process_time", "as in the topic", time) for *key, time in rows
    ]
