"""`k2 mend`: checks what a role's state refers to, and repairs the state where that no longer exists."""

from __future__ import annotations

import asyncio

import click

from k2stream.clickhouse.destination import UNAVAILABLE
from k2stream.commands.exit_codes import FAILED
from k2stream.commands.output import Printer, printed
from k2stream.kafka.groups import members
from k2stream.mend import act, derived, plan
from k2stream.mend.look import SOURCES, look
from k2stream.model.errors import ConfigError
from k2stream.model.roles import Role
from k2stream.platform import mended
from k2stream.platform.running import find
from k2stream.settings import Settings, current


@click.command()
@click.argument("role", type=click.Choice(tuple(SOURCES)))
@click.option("--rebuild", is_flag=True, help="Rebuild the candle tables also where nothing is found wrong.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@printed
def mend(role: str, rebuild: bool, yes: bool, *, out: Printer) -> None:
    """Look at what the state of ROLE refers to, say what is wrong and what mending loses, ask, and do it.

    For a worker that refused its state (exit code 78). Feeds go on meanwhile; ROLE must not run, and where a
    raw topic was recreated hot and cold neither. Exits 1 when something is wrong and not mended.
    """
    try:
        running = find(current())
        settings = running.settings if running else current()
        asyncio.run(_mend(settings, role, out, rebuild=rebuild, yes=yes))
        if running:
            mended.note(running.settings.local.data_path, (role, Role.HOT, Role.COLD))
    except UNAVAILABLE as error:
        raise ConfigError(" ".join(str(error).split())) from None


async def _mend(settings: Settings, role: str, out: Printer, *, rebuild: bool, yes: bool) -> None:
    lost = await derived.look(settings, role)
    found, tables = await look(settings, role)
    # Sinks may not have read all that was published, so all candles are published again.
    republish = bool(lost) and role == Role.CANDLES
    made = await plan.plan(settings, role, found, rebuild=rebuild, republish=republish)
    if not made.found and not lost:
        text = f"{role}: {len(found)} partitions are what its state refers to"
        out.line({"role": role, "partitions": len(found), "mended": False}, text)
        return
    seen = [line for item in made.found for line in item.lines()]
    for line in lost.lines():
        out.say(line)
    for line in seen:
        out.say(f"seen: {line}")
    for step in made.steps:
        out.say(f"will do: {step}")
    for loss in made.losses:
        out.say(f"lost by it: {loss}")
    sinks = {Role.HOT.group, Role.COLD.group} if made.lifts or made.drops or lost.misread else set()
    must_rest = {Role(role).group} | sinks
    if running := sorted(must_rest & await members(settings.kafka)):
        raise ConfigError(f"workers of {', '.join(running)} are running: stop them first")
    if not out.confirm("do it?", yes=yes):
        raise SystemExit(FAILED)
    if republish:  # first: a run that ends early finds the topic still missing, and does everything again
        await act.do(settings, made, tables, out.note)
    await derived.mend(settings, lost, made.committed, out.note)
    if not republish:
        await act.do(settings, made, tables, out.note)
    told = {"seen": [*lost.lines(), *seen], "done": list(made.steps), "lost": list(made.losses)}
    text = f"mended: start the {role} worker again (`k2 up` does so by itself)"
    out.line({"role": role, "partitions": len(found), "mended": True, **told}, text)
