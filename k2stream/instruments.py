"""Reads instruments files such as config/instruments.yaml."""

from __future__ import annotations

from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import yaml

from k2stream.exchanges import BUILT_IN, REGISTRY, VARIABLE
from k2stream.exchanges.spec import Exchange
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import STREAMS, Instrument, Instruments

_FIELDS = {"symbol", "canonical", "stream"}


def load(path: str | Path, wanted: Container[str] = REGISTRY) -> Instruments:
    """Read and validate an instruments file, keeping only the instruments of `wanted` exchanges.

    Raises ConfigError with file, line and fix for the first mistake found.
    """
    path = Path(path)
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); set K2_INSTRUMENTS_FILE") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigError(f"{path}:{line}: not YAML: {error.problem}; correct that line") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: not YAML: {reason}; set K2_INSTRUMENTS_FILE to a text file") from None
    return Instruments(item for item in _instruments(path, root, wanted) if item.exchange in wanted)


def canonical_of(exchange: Exchange, listed: Instruments) -> Callable[[str], str]:
    """A function from native to canonical symbol: as the file says, else by the exchange's own rule."""
    named = {item.symbol: item.canonical for item in listed.for_exchange(exchange.name)}
    return lambda symbol: named.get(symbol) or exchange.canonical(symbol)


def _instruments(path: Path, root: Any, wanted: Container[str]) -> list[Instrument]:
    found: list[Instrument] = []
    seen: dict[tuple[str, str], int] = {}
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{path}:1: expected a mapping of exchanges, one of {', '.join(REGISTRY)}")
    for name_node, list_node in root.value:
        exchange = str(name_node.value)
        if exchange not in wanted and exchange not in BUILT_IN:
            text = (
                f"unknown exchange {exchange!r}; use one of {', '.join(REGISTRY)}, or name it in {VARIABLE}"
            )
            raise _mistake(path, name_node, text)
        if not isinstance(list_node, yaml.SequenceNode):
            raise _mistake(path, list_node, f"{exchange}: expected a list of {{symbol: …, canonical: …}}")
        for node in list_node.value:
            item = _instrument(path, exchange, node)
            for name in (item.symbol, item.canonical):
                line = seen.setdefault((exchange, name), node.start_mark.line)
                if line != node.start_mark.line:
                    raise _mistake(
                        path, node, f"{exchange} {name} is already on line {line + 1}; remove one of them"
                    )
            found.append(item)
    return found


def _instrument(path: Path, exchange: str, node: Any) -> Instrument:
    if not isinstance(node, yaml.MappingNode):
        raise _mistake(path, node, "expected {symbol: …, canonical: …}")
    fields = {str(key.value): str(value.value) for key, value in node.value}
    for key, _ in node.value:
        if key.value not in _FIELDS:
            raise _mistake(path, key, f"unknown field {key.value!r}; use {', '.join(sorted(_FIELDS))}")
    if not fields.get("symbol") or not fields.get("canonical"):
        raise _mistake(path, node, "both symbol and canonical are needed")
    base, slash, quote = fields["canonical"].partition("/")
    if not (base and slash and quote) or fields["canonical"] != fields["canonical"].upper() or "/" in quote:
        raise _mistake(
            path, node, f"canonical {fields['canonical']!r} must be BASE/QUOTE in capitals, e.g. BTC/USD"
        )
    if fields.get("stream", "trade") not in STREAMS:
        raise _mistake(path, node, f"stream {fields['stream']!r} must be one of {', '.join(STREAMS)}")
    return Instrument(exchange, fields["symbol"], fields["canonical"], fields.get("stream", "trade"))


def _mistake(path: Path, node: Any, text: str) -> ConfigError:
    return ConfigError(f"{path}:{node.start_mark.line + 1}: {text}")
