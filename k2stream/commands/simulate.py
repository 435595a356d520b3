"""`k2 simulate`: runs simulated exchanges until it is stopped."""

from __future__ import annotations

import asyncio
import gc
import math
import signal
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
import uvloop

from k2stream import instruments
from k2stream.commands import options
from k2stream.commands.output import Printer, printed
from k2stream.logs.setup import set_up
from k2stream.settings import current
from k2stream.simulator import protocols
from k2stream.simulator.faults import Fault, FaultKind
from k2stream.simulator.simulator import Options, Simulator
from k2stream.topics import EXCHANGES

# Trading creates millions of short-lived objects without cycles: see k2stream/app.py.
GC_THRESHOLDS = (200_000, 20, 20)


_MAX_AHEAD = 1e8  # seconds
_PORT = click.IntRange(0, 65_535)


class _RepeatedFault(click.ParamType):
    name = "EXCHANGE:KIND@SECONDS"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, Fault]:
        what, _, every = str(value).partition("@")
        exchange, _, kind = what.partition(":")
        try:
            fault = msgspec.convert({"exchange": exchange, "kind": kind}, Fault)
            seconds = float(every)
            if exchange not in EXCHANGES or not 0 < seconds < math.inf:
                raise ValueError
        except ValueError:
            kinds = ", ".join(FaultKind)
            self.fail(f"{value!r}: expected e.g. {EXCHANGES[0]}:garbage@10; kinds are {kinds}", param, ctx)
        return seconds, fault


def _of_each_exchange(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that exist per exchange."""
    for name in protocols.with_age("close_seconds"):
        help_ = f"Age at which {name} closes a connection."
        default = protocols.for_exchange(name).ages["close_seconds"]
        command = click.option(
            f"--{name}-close-seconds",
            default=default,
            show_default=True,
            type=options.Number(min=0, min_open=True),
            help=help_,
        )(command)
    for name in reversed(EXCHANGES):
        command = click.option(f"--{name}-rest-port", default=0, type=_PORT, help="Of its REST.")(command)
        command = click.option(f"--{name}-port", default=0, type=_PORT, help="0: any free port.")(command)
    return command


@click.command()
@click.option(
    "--rate",
    default=200.0,
    show_default=True,
    type=options.Number(0.1, options.MAX_RATE),
    help="Trades per second.",
)
@click.option("--seed", default=7, show_default=True, help="The same seed and start give the same trades.")
@click.option("--start", type=options.Moment(), help="Trade time (UTC) of the first moment; default: now.")
@click.option(
    "--ahead",
    default=0.0,
    show_default=True,
    type=options.Number(-_MAX_AHEAD, _MAX_AHEAD),
    help="Seconds their clocks are before this one.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@_of_each_exchange
@click.option(
    "--control-port",
    default=0,
    type=_PORT,
    help="HTTP: /fault, /stop-feeds, /start-feeds, /stats, /faults.",
)
@click.option("--record", type=options.OutputFile(), help="JSON lines of all trades.")
@click.option("--fault", "faults", multiple=True, type=_RepeatedFault(), help="A fault that repeats.")
@printed
def simulate_command(
    rate: float,
    seed: int,
    start: int | None,
    ahead: float,
    host: str,
    control_port: int,
    record: Path | None,
    faults: tuple[tuple[float, Fault], ...],
    *,
    out: Printer,
    **of_exchanges: float,
) -> None:
    """Run SIMULATED exchanges: local servers that speak the protocols of the real ones."""
    options = Options(
        rate=rate,
        seed=seed,
        ahead_seconds=ahead,
        start_us=None if start is None else start * 1000,
        host=host,
        ports={name: int(of_exchanges[f"{name}_port"]) for name in EXCHANGES},
        rest_ports={name: int(of_exchanges[f"{name}_rest_port"]) for name in EXCHANGES},
        control_port=control_port,
        record=record,
        faults=faults,
        ages=of_exchanges,
    )
    settings = current()
    set_up(settings.worker.log_format, settings.worker.log_level, role="simulate", worker="simulate")
    simulator = Simulator(instruments.load(settings.feeds.instruments_file), options)
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        uvloop.run(_run(simulator, out))
    except OSError as error:
        raise click.ClickException(
            f"the simulated exchanges cannot start: {error}; choose another address, port or file"
        ) from None


async def _run(simulator: Simulator, out: Printer) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with simulator:
        out.line(_urls(simulator), _announcement(simulator))
        trading = asyncio.create_task(simulator.run())
        trading.add_done_callback(lambda _: stopped.set())
        await stopped.wait()
        if trading.done():
            trading.result()
        trading.cancel()


def _urls(simulator: Simulator) -> dict[str, object]:
    urls = {"control_url": simulator.control.url, "rest": simulator.rest_urls, **simulator.urls}
    return {"simulated": True, **urls}


def _announcement(simulator: Simulator) -> str:
    options = simulator.options
    lines = [f"K2_{name.upper()}_WS_URL={url}" for name, url in simulator.urls.items()]
    lines += [f"K2_{name.upper()}_REST_URL={url}" for name, url in simulator.rest_urls.items()]
    return "\n".join(
        [
            f"# SIMULATED exchanges: {options.rate:g} trades/s, seed {options.seed}",
            *lines,
            "K2_SIMULATED=true",
            f"# control: {simulator.control.url}",
        ]
    )
