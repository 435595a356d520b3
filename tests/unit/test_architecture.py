"""Who may import whom, and where a library or an exchange may be named.

A module imports rooms (the folders and files of k2stream/, agents/ and tables/) of lower rows only, never of
its own row. A library that stands for a system has its rooms. An exchange is named where it is defined,
simulated or checked.
"""

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from k2stream.exchanges import BUILT_IN

ROOT = Path(__file__).parents[2]

ROWS = (
    "__main__",
    "cli",
    "agents commands",
    "backfill mend partitions playback export",
    "replay reconcile dlq service read",
    "clickhouse iceberg",
    "layers web",
    "feed platform delivery tables",
    "certificates",
    "normalizer candles agreement simulator app",
    "faults worker monitor",
    "avro kafka standing",
    "topics history embedded rest peers",
    "settings instruments",
    "exchanges deadletter",
    "batch columnar tracing",
    "metrics plugins extras",
    "model rolling histogram resources proxies backoff logs memory",
)
"""From the top to the ground."""

HEIGHT = {room: len(ROWS) - row for row, rooms in enumerate(ROWS) for room in rooms.split()}

LIBRARIES = {
    "aiokafka": "batch kafka topics embedded reconcile",  # topics: its partitioner
    "chdb": "embedded reconcile",
    "click": "cli commands",
    "clickhouse_driver": "clickhouse reconcile",
    "litestar": "service",
    "uvicorn": "service",
    "faust": "agents app batch commands delivery monitor tables web worker",  # commands: its command line
    "pyiceberg": "iceberg reconcile",
    "textual": "commands",
    "opentelemetry": "tracing",
    "rich": "cli commands embedded",
    "structlog": "logs",
}
"""The rooms in which a library is used; reconcile shares no client with what it checks."""

NAMED = ("exchanges", "simulator", "reconcile")
"""Where an exchange may be named: its definition, its simulated server, the oracle's own statement of it."""

SPOKEN = {
    "k2stream/service/formats.py": "an exchange's kline arrays are a format that clients ask for by its name",
    "k2stream/service/mirror/root.py": "the mirror speaks one exchange's API, which is at the root there",
}
"""Other modules that name an exchange, and why each must."""

MODULES = sorted(
    path
    for folder in ("k2stream", "agents", "tables")
    for path in (ROOT / folder).rglob("*.py")
    if path != ROOT / "k2stream/__init__.py" and not path.parent.is_symlink()
)


def name(path):
    return str(path.relative_to(ROOT))


def room(path):
    parts = path.relative_to(ROOT).parts
    return parts[1].removesuffix(".py") if parts[0] == "k2stream" else parts[0]


def imports(path):
    """Dotted names of what a module imports, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_go_downwards_only(path):
    mine = room(path)
    assert mine in HEIGHT, f"{mine} is a new room: give it a row in {Path(__file__).name}"
    for dotted, line in imports(path):
        head, *rest = dotted.split(".")
        other = rest[0] if head == "k2stream" else head
        if head not in ("k2stream", "agents", "tables") or other in (mine, "__init__"):
            continue
        assert HEIGHT[other] < HEIGHT[mine], (
            f"{name(path)}:{line} imports {dotted}: {other} is not below {mine}. Move what is needed to a "
            "lower room, or hand it in where both are known (agents/, commands/)"
        )


@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries_that_stand_for_a_system_stay_in_their_rooms(library):
    users = {room(path) for path in MODULES for dotted, _ in imports(path) if dotted.split(".")[0] == library}
    more = users - set(LIBRARIES[library].split())
    assert not more, f"{library} is used in {more}: its rooms are {LIBRARIES[library]}"


def docstrings(tree):
    """The nodes that are text for readers."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def exchanges_named(path):
    """The exchanges that a module names, but for text for readers."""
    tree = ast.parse(path.read_text())
    prose = set(map(id, docstrings(tree)))
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in prose:
                found |= within(text.lower())
            case ast.Name(id=text) | ast.arg(arg=text) | ast.alias(name=text) | ast.ClassDef(name=text):
                found |= within(text.lower())
            case ast.ImportFrom(module=str(text)):
                found |= within(text)
    return found


def within(text):
    """The exchanges named in a text; one whose name begins as another's is not that other."""
    found = set()
    for exchange in sorted(BUILT_IN, key=len, reverse=True):
        if exchange in text:
            found.add(exchange)
            text = text.replace(exchange, "")
    return found


def test_an_exchange_is_named_in_its_own_places_only():
    naming = {name(path) for path in MODULES if room(path) not in NAMED and exchanges_named(path)}
    naming -= SPOKEN.keys()
    assert not naming, f"{naming}: what is an exchange's own belongs to its file in k2stream/exchanges/"


def test_an_exchange_is_one_place():
    """The list of exchanges and, of its name: its value, REST, simulated servers, the oracle's reading."""
    for exchange in BUILT_IN:
        naming = {
            path
            for path in MODULES
            if exchange in exchanges_named(path) | {path.stem}
            and path.stem not in set(BUILT_IN) - {exchange}  # a variant names what it varies
            and name(path) not in SPOKEN
        }
        assert len(naming) <= 5, f"{exchange} is named in {sorted(map(name, naming))}"
        assert {path.stem for path in naming} == {exchange, "__init__"}, naming


@pytest.mark.parametrize(
    "module", ["batch", "normalizer", "candles.fold", "candles.partition", "layers.bronze", "model.trade"]
)
def test_pure_rooms_bring_no_faust(module):
    code = f"import sys, k2stream.{module}; sys.exit('faust' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SHARED_NAMES = {"NativeTrade", "Trade"}
"""Class names that stand for more than one thing: each exchange's own, of one shape."""


def test_a_public_class_name_stands_for_one_thing():
    places = defaultdict(set)
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].add(name(path))
    shared = {label: where for label, where in places.items() if len(where) > 1}
    assert shared.keys() == SHARED_NAMES, shared
