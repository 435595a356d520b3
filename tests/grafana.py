"""Queries of dashboards as Grafana sends them: variables, and the macros of its ClickHouse data source."""

import json
import re
from itertools import count
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "deploy" / "grafana" / "dashboards"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}

_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::(?P<how>raw|sqlstring))?\}|(?P<bare>\w+))")

INTERVALS = {"__rate_interval": "15s", "__interval": "5s"}


def queries(field):
    """The queries of a kind (expr, rawSql): an id, the dashboard and the query."""
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            for number, target in zip(count(), panel.get("targets", ())):
                if field in target:
                    yield f"{name}: {panel['title']} {number}", board, target[field]


def promql(board, query):
    """A query with its variables at their values for "All"."""
    values = {each["name"]: each["allValue"] for each in board["templating"]["list"]} | INTERVALS
    return _replaced(query, values)


def sql(query, values, begin_ms, end_ms):
    """A query of a time range, with variables at the values given, and with its macros expanded."""
    text = _replaced(query, values)
    text = re.sub(r"\$__timeFilter_ms\((\w+)\)", r"\1 >= $__fromTime_ms AND \1 <= $__toTime_ms", text)
    for name, moment in (("from", begin_ms), ("to", end_ms)):
        text = text.replace(f"$__{name}Time_ms", f"fromUnixTimestamp64Milli({moment})")
    assert "$" not in text, f"no such variable or macro: {text}"
    return text


def _replaced(query, values):
    """Replace `$name`, `${name}`, `${name:raw}` and `${name:sqlstring}`; other names are macros."""

    def value(found):
        name = found["braced"] or found["bare"]
        if name not in values:
            return found[0]
        quoted = "'" + values[name].replace("'", "''") + "'"
        return quoted if found["how"] == "sqlstring" else values[name]

    return _VARIABLE.sub(value, query)
