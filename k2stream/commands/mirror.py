"""`k2 mirror`: sends a past span of an exchange again, over that exchange's own protocol."""

from __future__ import annotations

import asyncio
import signal

import click

from k2stream import instruments, topics
from k2stream.commands import options
from k2stream.commands.output import Printer, printed
from k2stream.iceberg.catalog import existing_catalog, open_catalog
from k2stream.model import clock
from k2stream.model.errors import ConfigError
from k2stream.platform.running import find
from k2stream.playback.reading import Span, merged, sources
from k2stream.replay.source import Origin
from k2stream.settings import Settings, current
from k2stream.simulator import protocols
from k2stream.simulator.relayed import RelayedVenue


@click.command()
@click.option("--exchange", required=True, type=click.Choice(topics.EXCHANGES), help="Of this exchange.")
@click.option("--from", "start", required=True, type=options.Moment(), help="First receive time (UTC).")
@click.option("--to", "end", type=options.Moment(), help="Receive time to end before; default: now.")
@click.option(
    "--speed", default=1.0, show_default=True, type=options.Number(0.01, 10_000), help="× real time."
)
@click.option(
    "--source",
    "origin",
    type=click.Choice(("auto", "topics", "cold")),
    default="auto",
    show_default=True,
    help="Raw records from the topic, from Iceberg bronze, or from bronze where the topic has expired.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, type=click.IntRange(0, 65_535), help="0: any free port.")
@printed
def mirror(
    exchange: str,
    start: int,
    end: int | None,
    speed: float,
    origin: Origin,
    host: str,
    port: int,
    *,
    out: Printer,
) -> None:
    """Send a past span of an exchange again, as its own live protocol.

    Listens like the exchange; once a client has subscribed, it gets the trades that were ingested in the
    span, in their order and with their distances in time divided by the speed. The content of each trade is
    equal; how trades share messages, message numbers and heartbeats are not.
    """
    running = find(current())
    settings = running.settings if running else current()
    until = clock.now_us() if end is None else end * 1000
    if start * 1000 >= until:
        first, last = (clock.format_utc(time // 1000) for time in (start * 1000, until))
        raise click.UsageError(f"--from {first} is not before --to {last}")
    if running is None:
        existing_catalog(settings.iceberg)  # before anything is created
    span = Span(exchange, start * 1000, until)
    try:
        asyncio.run(_serve(settings, span, speed, origin, (host, port), out))
    except OSError as error:
        raise ConfigError(f"{host}:{port} cannot be listened on ({error.strerror}); choose another") from None


async def _serve(
    settings: Settings, span: Span, speed: float, origin: Origin, address: tuple[str, int], out: Printer
) -> None:
    relay = protocols.for_exchange(span.exchange).relay
    if relay is None:
        raise ConfigError(f"the protocol of {span.exchange} cannot send recorded trades: it has no relay")
    listed = instruments.load(settings.feeds.instruments_file).for_exchange(span.exchange)
    catalog = await asyncio.to_thread(open_catalog, settings.iceberg)
    found = await sources(settings.kafka, catalog, span, origin)
    venue = RelayedVenue(span.exchange, relay, listed, clock.now_us)
    serving = asyncio.current_task()
    assert serving is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    try:
        await venue.start(*address)
        name = span.exchange.upper()
        out.say(f"# {span.exchange} at {speed:g} × from {clock.format_utc(span.start // 1000)} UTC on")
        urls = {"exchange": span.exchange, "ws_url": venue.url, "rest_url": venue.rest.url}
        out.line(urls, f"K2_{name}_WS_URL={venue.url}\nK2_{name}_REST_URL={venue.rest.url}")
        await venue.ready()
        sent = await venue.play(merged(found), speed)
        out.line({"sent": sent}, f"# sent {sent} trades; connections stay open")
        await venue.idle()
    except asyncio.CancelledError:
        pass
    finally:
        await venue.close()
