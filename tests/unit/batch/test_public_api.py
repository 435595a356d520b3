"""What `k2stream.batch` offers: each name is there, documented and typed, and nobody reaches around it."""

import ast
import importlib
import inspect
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import faust
import pytest
from faust.exceptions import ImproperlyConfigured

from k2stream import batch
from k2stream.batch import BatchApp, BatchTable, Consumer, Producer, batch_app_options
from k2stream.batch._web import BatchWeb

ROOT = Path(__file__).parents[3]

MODULES = {
    "proof": "what a position refers to: its words (LogIdentity, Shown, Verdict) are read beside its name",
    "transport": "the entry point of `faust.transports` names it",
}
"""The modules that may be imported, and why: all others have a leading underscore."""

PRIVATE = {"benchmarks/recovery.py": "fills a changelog as tables write it, key by key"}
"""Who imports private modules, and why."""

USERS = sorted(
    path
    for folder in ("k2stream", "agents", "tables", "examples", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if not path.parent.is_symlink() and path.parent != ROOT / "k2stream/batch"
)


def imported(path):
    """Dotted names that a module imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def documented_constants(module):
    """Names that a string follows."""
    body = ast.parse(inspect.getsource(module)).body
    return {
        ast.unparse(target)
        for made, text in pairwise(body)
        if isinstance(made, ast.Assign) and isinstance(text, ast.Expr)
        for target in made.targets
    }


def untyped(thing):
    """Parameters and results without a type: of a function, or of a class's own public methods."""
    own = vars(thing).values() if inspect.isclass(thing) else [thing]
    functions = [getattr(item, "__func__", item) for item in own]
    for function in filter(inspect.isfunction, functions):
        if function.__name__.startswith("_") and function.__name__ != "__init__":
            continue
        if function.__module__.startswith("k2stream.batch"):
            signature = inspect.signature(function)
            for name, parameter in signature.parameters.items():
                if parameter.annotation is parameter.empty and name not in ("self", "cls"):
                    yield f"{function.__qualname__}({name})"
            if signature.return_annotation is signature.empty:
                yield f"{function.__qualname__} ->"


@pytest.mark.parametrize("name", batch.__all__)
def test_what_is_offered_is_there_documented_and_typed(name):
    found = getattr(batch, name)
    if inspect.isclass(found) or inspect.isfunction(found):
        assert (found.__doc__ or "").strip()
        assert not list(untyped(found))
    elif not inspect.ismodule(found):
        module = importlib.import_module(f"k2stream.batch.{batch._WHERE[name]}")
        assert name in documented_constants(module)


def test_no_name_is_offered_twice_or_forgotten():
    assert len(set(batch.__all__)) == len(batch.__all__)
    assert {*batch._WHERE, "TP", "RecordBatch", "proof"} == set(batch.__all__)
    shown = {alias.name for node in ast.walk(ast.parse(inspect.getsource(batch)))
             if isinstance(node, ast.If) for inner in node.body if isinstance(inner, ast.ImportFrom)
             for alias in inner.names}  # fmt: skip
    assert shown == set(batch._WHERE)  # what a type checker sees
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = batch.Nothing


def test_every_other_module_is_private():
    modules = {path.stem for path in (ROOT / "k2stream/batch").glob("*.py")} - {"__init__"}
    assert {module for module in modules if not module.startswith("_")} == MODULES.keys()


@pytest.mark.parametrize("path", USERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_others_import_from_the_package_itself(path):
    offered = {f"k2stream.batch.{name}" for name in batch.__all__}
    around = {
        dotted
        for dotted in imported(path)
        if dotted.startswith("k2stream.batch.")
        and dotted not in offered
        and dotted.split(".")[2] not in MODULES
    }
    assert bool(around) == (str(path.relative_to(ROOT)) in PRIVATE), around


@pytest.mark.parametrize("name", ["RecordBatch", "TP", "proof"])
def test_what_is_pure_brings_no_faust(name):
    code = f"import sys; from k2stream.batch import {name}; sys.exit('faust' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_app_has_the_producer_and_the_consumer_of_its_type(app):
    assert type(app.producer) is Producer
    assert type(app.consumer) is Consumer
    assert type(app.web) is BatchWeb
    assert app.gather_seconds == (0.0, 0.0)
    assert BatchApp("other", gather_seconds=(0.1, 0.2)).gather_seconds == (0.1, 0.2)


def test_a_faust_app_is_told_what_it_has_to_be():
    plain = faust.App("plain", **batch_app_options("127.0.0.1:9"))
    with pytest.raises(
        ImproperlyConfigured, match=r"app plain: k2batch:// needs a k2stream\.batch\.BatchApp"
    ):
        _ = plain.producer


def test_a_batch_app_is_told_of_another_transport():
    app = BatchApp("other", broker="kafka://127.0.0.1:9")
    for name in ("producer", "consumer"):
        with pytest.raises(
            ImproperlyConfigured, match="app other: a BatchApp needs a k2batch:// broker, not"
        ):
            getattr(app, name)


async def test_a_table_is_told_of_another_transport():
    table = BatchTable(faust.App("plain", broker="kafka://127.0.0.1:9", store="memory://"), name="t")
    with pytest.raises(ImproperlyConfigured, match="table t: a batch table needs a k2batch:// broker"):
        await table.on_start()


def test_an_app_keeps_a_web_server_of_another_kind(app, monkeypatch):
    class Other:
        def __init__(self, app):
            self.app = app

    monkeypatch.setattr("faust.web.drivers.by_url", lambda url: Other)
    assert type(app.web) is Other


async def test_preparations_run_in_turn_before_faust_starts(app, monkeypatch):
    done = []

    async def first():
        done.append("first")

    async def second():
        done.append("second")

    monkeypatch.setattr(app, "_create_directories", lambda: done.append("faust"))
    app.preparations += [first, second]
    await app.on_first_start()
    assert done == ["first", "second", "faust"]
