"""The oracle shares settings, topic names and the search for plug-ins with the pipeline, and nothing else."""

import ast
import sys
from pathlib import Path

import k2stream.reconcile.oracle

FOLDER = Path(k2stream.reconcile.oracle.__file__).parent
SHARED = {
    "k2stream.plugins",
    "k2stream.settings",
    "k2stream.topics",
    "k2stream.model.comparison",  # words, no rule
    "k2stream.model.errors",
    "k2stream.resources",
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            for item in node.names:
                whole = f"{node.module}.{item.name}"
                yield whole if node.module == "k2stream" or whole in sys.modules else node.module


def test_the_oracle_imports_nothing_of_the_pipeline():
    modules = list(FOLDER.rglob("*.py"))
    assert len(modules) > 15
    for path in modules:
        own = {name for name in imported(path) if name.partition(".")[0] in ("k2stream", "agents", "tables")}
        foreign = {name for name in own - SHARED if not name.startswith("k2stream.reconcile.oracle")}
        assert not foreign, (path.name, foreign)
