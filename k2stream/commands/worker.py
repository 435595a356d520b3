"""`k2 worker ROLE`: runs a worker, like `faust -A k2stream.agents.ROLE worker`."""

from __future__ import annotations

import asyncio
import logging.config
import os
import sys

import click

from k2stream import exchanges, topics
from k2stream.app import ROLES, logging_of
from k2stream.commands.output import Printer, printed
from k2stream.kafka.creation import ensure_topics
from k2stream.logs.setup import capture, is_json
from k2stream.model.errors import ConfigError
from k2stream.settings import current


@click.command()
@click.argument("role", type=click.Choice(ROLES))
@click.option(
    "--exchange",
    type=click.Choice(topics.EXCHANGES),
    help="The exchange of an ingest worker (or K2_EXCHANGE).",
)
@printed
def worker(role: str, exchange: str | None, *, out: Printer) -> None:
    """Run one worker process of ROLE.

    Plain Faust does the same: faust -A k2stream.agents.ROLE worker
    """
    if exchange:
        os.environ["K2_EXCHANGE"] = exchange
    settings = current()
    feed = role == "ingest"
    # Report configuration errors before Faust starts.
    if settings.worker.exchange:
        exchanges.get(settings.worker.exchange)
    elif feed:
        names = ", ".join(topics.EXCHANGES)
        raise ConfigError(f"an ingest worker needs --exchange or K2_EXCHANGE: use one of {names}")
    written = topics.written_by_feed(settings.worker.exchange) if feed else ()
    asyncio.run(ensure_topics(settings.kafka, topics.declared(settings.kafka), recreate=written, leave=feed))
    logging.config.dictConfig(logging_of(role, settings.worker))  # from here on a failure is a record
    capture()
    if out.as_json:
        out.line(
            {
                "role": role,
                "exchange": settings.worker.exchange or None,
                "web_port": settings.worker.web_port,
            },
            "",
        )
    from faust.cli.faust import cli

    level = {"warning": "warn", "critical": "crit"}.get(settings.worker.log_level, settings.worker.log_level)
    quiet = ["--quiet"] if is_json(settings.worker.log_format) else []  # its banner is no log record
    sys.argv = ["faust", *quiet, "-A", f"k2stream.agents.{role}", "worker", "--loglevel", level]
    cli.main(args=sys.argv[1:], prog_name="k2 worker")
