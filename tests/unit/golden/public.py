"""What others write down: metrics, settings, commands, routes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from k2stream import batch, instruments, settings, web
from k2stream.cli import main
from k2stream.histogram import ColumnHistogram
from k2stream.history.reader import MissingTier
from k2stream.history.timeframes import timeframe
from k2stream.model.candle import Candle
from k2stream.rolling import RollingHistogram
from k2stream.service.application import ROUTES
from k2stream.service.document import document
from k2stream.settings.secret_files import file_variables
from k2stream.settings.variables import variables as declared_variables
from k2stream.web import query, render
from tests.unit.golden.stored import apps


def metrics() -> Iterator[str]:
    """Type, name and labels."""
    for collector in list(REGISTRY._collector_to_names):
        if isinstance(collector, MetricWrapperBase):
            yield f"{collector._name}{{{', '.join(collector._labelnames)}}} {collector._type}"
        elif isinstance(collector, ColumnHistogram):
            yield f"{collector._name}{{{collector._label}}} histogram"
        elif isinstance(collector, RollingHistogram):
            yield f"{collector._name}{{{collector._label}}} gaugehistogram"


def variables() -> Iterator[str]:
    """The environment variables."""
    yield from (variable.environment_name for variable in declared_variables().values())
    yield from file_variables()


def commands() -> Iterator[str]:
    """The commands with their arguments and options."""
    yield from _command("k2", main, click.Context(main, info_name="k2"))


def _command(name: str, command: click.Command, context: click.Context) -> Iterator[str]:
    yield name
    for parameter in command.params:
        choices = parameter.type.choices if isinstance(parameter.type, click.Choice) else ()
        given = f" {{{','.join(map(str, choices))}}}" if choices else ""
        words = [*parameter.opts, *parameter.secondary_opts]
        option = isinstance(parameter, click.Option)
        yield f"{name} {' '.join(words) if option else parameter.human_readable_name.upper()}{given}"
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from _command(f"{name} {below}", found, context)


def routes() -> Iterator[str]:
    """Paths, parameters, headers and the keys of answers."""
    for app in apps():
        yield from (f"{app.conf.id} {path}" for path in app.web.reverse_names.values())
    yield from _service()
    yield from (f"parameter {name}" for name in query._PARAMETERS)
    for name, values in (("fill", query.FILLS), ("format", query.FORMATS), ("source", query.SOURCES)):
        yield f"parameter {name}: {', '.join(values)}"
    for path in (*Path(web.__path__[0]).glob("*.py"), Path(batch.__path__[0], "_routing.py")):
        yield from (
            f"header {name}" for name in re.findall(r'"(X-K2-[\w-]+)"', path.read_text(encoding="utf-8"))
        )
    listed = instruments.load(settings.Settings().feeds.instruments_file)
    candle = Candle._make(1 for _ in Candle._fields)._replace(timeframe="1m")
    tier = MissingTier._make("" for _ in MissingTier._fields)
    answer = render.body(next(iter(listed)), timeframe("1m"), [candle], True, [tier])
    yield from (f"candles {path}" for path in _keys(json.loads(answer)))
    yield from (f"instruments {path}" for path in _keys(json.loads(render.listing(listed, True))))


def _service() -> Iterator[str]:
    """Paths of the service and their parameters, as its OpenAPI document has them."""
    for path, item in document(ROUTES)["paths"].items():
        for operation in item.values():
            yield f"service {path}"
            for parameter in operation.get("parameters", ()):
                yield f"service {path} {parameter['in']} {parameter['name']}"


def _keys(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, below in value.items():
            yield f"{path}.{name}"
            yield from _keys(below, f"{path}.{name}")
    elif isinstance(value, list) and value:
        yield from _keys(value[0], f"{path}[]")
