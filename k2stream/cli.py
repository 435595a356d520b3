"""The `k2` command: each subcommand has its own module, imported only when it is called."""

from __future__ import annotations

import logging
import re
from importlib import import_module
from typing import Any

import click

from k2stream import extras, proxies
from k2stream.model.errors import K2Error

_SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Run": {
        "up": ("k2stream.commands.up:up", "Run the whole platform on this machine, with a live status view."),
        "demo": ("k2stream.commands.demo:demo", "Run it for a while, then prove that every layer agrees."),
        "worker": (
            "k2stream.commands.worker:worker",
            "Run one worker: ingest, normalize, candles, hot, cold or certify.",
        ),
        "simulate": ("k2stream.commands.simulate:simulate_command", "Run simulated exchanges."),
        "mirror": (
            "k2stream.commands.mirror:mirror",
            "Send a past span of an exchange again, as its live feed.",
        ),
        "reset": ("k2stream.commands.reset:reset", "Delete the data folder of the embedded stack."),
    },
    "Look": {
        "status": ("k2stream.commands.status:status", "Show the state of the running platform."),
        "candles": ("k2stream.commands.candles:candles", "Print a symbol's candles, or follow them."),
        "topics": (
            "k2stream.commands.topics:topics",
            "List the topics: records, partitions, key and schema.",
        ),
        "dlq": ("k2stream.commands.dlq:dlq", "List, show and replay dead letters."),
        "table": ("k2stream.commands.table:table", "Read a table, now or as it stood at a time."),
        "export": (
            "k2stream.commands.export:export",
            "Write candles or trades into a file, for backtesters too.",
        ),
        "inspect": ("k2stream.commands.inspect:inspect_command", "Read captured frames without any server."),
        "settings": ("k2stream.commands.settings:settings", "List every setting and its value."),
    },
    "Check and keep": {
        "verify": (
            "k2stream.commands.verify:verify",
            "Recompute everything from the raw topics and compare.",
        ),
        "validate": (
            "k2stream.commands.validate:validate",
            "Check the ClickHouse layers against each other, a line a check.",
        ),
        "agree": (
            "k2stream.commands.agree:agree",
            "Show whether candles equal the exchanges' own klines.",
        ),
        "replay": (
            "k2stream.commands.replay:replay",
            "Rebuild everything from the raw records, compare, and swap it in.",
        ),
        "backfill": (
            "k2stream.commands.backfill:backfill",
            "Fetch past trades over REST, and revise their candles.",
        ),
        "mend": (
            "k2stream.commands.mend:mend",
            "Check a role's state against Kafka and the stores, and repair it.",
        ),
        "migrate": (
            "k2stream.commands.migrate:migrate",
            "Bring registry, ClickHouse and Iceberg up to date.",
        ),
        "refill": (
            "k2stream.commands.refill:refill",
            "Fill a table of a sink from what Kafka still has.",
        ),
        "cold": ("k2stream.commands.cold:cold", "Work with the Iceberg tier."),
    },
}


def _one_line(text: str, exit_code: int = 1) -> click.ClickException:
    """An error that click prints to standard error as "Error: …"."""
    error = click.ClickException(text)
    error.exit_code = exit_code
    return error


def _no_broker(text: str) -> str:
    """The message for a KafkaConnectionError, whose text lists the addresses it tried as tuples."""
    tried = ",".join(f"{host}:{port}" for host, port in re.findall(r"\('([^']+)', (\d+)", text))
    what = f"no Kafka broker at {tried}" if tried else text
    return f"{what}; start one with `k2 up` or set K2_KAFKA_BOOTSTRAP"


class _Commands(click.Group):
    """A click group that lists its commands and their help without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in _SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for section in _SECTIONS.values():
            if cmd_name in section:
                module, _, attribute = section[cmd_name][0].partition(":")
                try:
                    command: click.Command = getattr(import_module(module), attribute)
                except ModuleNotFoundError as error:
                    raise extras.missing(f"`k2 {cmd_name}`", error) from None
                return command
        return None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except K2Error as error:
            raise _one_line(str(error), error.exit_code) from None
        except Exception as error:
            if type(error).__name__ == "KafkaConnectionError":  # the client is slow to import
                raise _one_line(_no_broker(str(error))) from None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, help_text) for name, (_, help_text) in section.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="k2stream", prog_name="k2")
def main() -> None:
    """K2 stream: exact crypto trades and candles, from exchange sockets to ClickHouse and Iceberg.

    Start with `k2 demo`, or with `k2 up` and, in another terminal, `k2 candles BTC/USDT 1m --follow`.
    Every setting is an environment variable K2_…: see `k2 settings`.
    """
    for library in ("aiokafka", "clickhouse_driver"):  # their errors are already in the one line printed
        logging.getLogger(library).addHandler(logging.NullHandler())
    proxies.except_local()
