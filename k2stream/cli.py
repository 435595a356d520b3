"""The `k2` command: each subcommand has its own module, imported only when it is called."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from k2stream import extras, proxies
from k2stream.commands import failures
from k2stream.commands.exit_codes import FAILED
from k2stream.commands.listed import SECTIONS
from k2stream.commands.suggested import Suggesting


class _Commands(Suggesting):
    """A click group that lists its commands and their help without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for section in SECTIONS.values():
            if cmd_name in section:
                module, _, attribute = section[cmd_name][0].partition(":")
                try:
                    command: click.Command = getattr(import_module(module), attribute)
                except ModuleNotFoundError as error:
                    raise extras.missing(f"`k2 {cmd_name}`", error) from None
                return command
        return None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line and exit; without standalone_mode, errors are raised as click's."""
        words = list(sys.argv[1:] if args is None else args)
        if not standalone_mode:
            return super().main(words, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            code = super().main(words, prog_name, complete_var, standalone_mode=False, **extra)
        except click.Abort:
            click.echo("Aborted!", err=True)
            sys.exit(FAILED)
        except click.ClickException as error:
            failures.show(error, as_json=failures.wants_json(words))
            sys.exit(error.exit_code)
        sys.exit(code)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            shown = failures.as_click(error)
            if shown is None or shown is error:
                raise
            raise shown from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, help_text) for name, (_, help_text) in section.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="k2stream", prog_name="k2")
def main() -> None:
    """K2 stream: exact crypto trades and candles, from exchange sockets to ClickHouse and Iceberg.

    Start with `k2 demo`, or with `k2 up` and, in another terminal, `k2 candles BTC/USDT 1m --follow`.
    Every setting is an environment variable K2_…: see `k2 settings`. Every command has --json.
    """
    for library in ("aiokafka", "clickhouse_driver"):  # their errors are already in the one line printed
        logging.getLogger(library).addHandler(logging.NullHandler())
    proxies.except_local()
