"""`k2 partitions`: lists the partition counts of topics, and changes one with the state of what moves."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from rich.table import Table

from k2stream.clickhouse.destination import UNAVAILABLE
from k2stream.commands.exit_codes import FAILED
from k2stream.commands.output import Printer, printed
from k2stream.kafka import counts
from k2stream.kafka.counts import CountChange
from k2stream.kafka.positions import GroupBusy
from k2stream.model.errors import ConfigError
from k2stream.partitions import change, plan, rest
from k2stream.platform.running import find, stopped
from k2stream.settings import KafkaSettings, Settings, current, replace

if TYPE_CHECKING:
    from k2stream.platform.platform import Platform


@click.command()
@click.argument("name", type=click.Choice(counts.NAMES), required=False)
@click.argument("count", type=click.IntRange(min=1), required=False)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@printed
def partitions(name: str | None, count: int | None, dry_run: bool, yes: bool, *, out: Printer) -> None:
    """List the partition counts; with NAME and COUNT, give the raw topic of an exchange more partitions.

    COUNT is a multiple of the present count. NAME "normalized" is the canonical topic with all that derives
    from it, which grow with a raw topic where they must. All workers must be stopped, and all but the sinks
    have read everything; on the folder of a stopped `k2 up`, this sees to it. May be killed, and run again.
    """
    if (name is None) != (count is None):
        raise click.UsageError("give NAME and COUNT, or neither")
    try:
        asyncio.run(_run(name, count, out, dry_run=dry_run, yes=yes))
    except (*UNAVAILABLE, GroupBusy) as error:
        raise ConfigError(" ".join(str(error).split())) from None


class _Reached(NamedTuple):
    """The broker's settings, with the counts that its topics have, and how the command got there."""

    settings: Settings
    counts: dict[str, int]
    begun: CountChange | None
    platform: Platform | None  # started here


async def _run(name: str | None, count: int | None, out: Printer, *, dry_run: bool, yes: bool) -> None:
    async with AsyncExitStack() as entered:
        platform, settings = await _start(entered, out)
        found, begun = await counts.found(settings.kafka)
        at = _Reached(counts.agreeing(settings, found), found, begun, platform)
        if name is None or count is None:
            out.show(*_listed(at))
            return
        await _change(at, _wanted(at, name, count), out, dry_run=dry_run, yes=yes)


async def _start(entered: AsyncExitStack, out: Printer) -> tuple[Platform | None, Settings]:
    """Reach the broker; that of a stopped `k2 up` is started."""
    if running := find(current()):
        return None, running.settings
    local = stopped(current())
    if local is None or local.kafka.bootstrap != KafkaSettings().bootstrap:
        return None, current()
    from k2stream.platform.platform import Platform  # the image for workers has no broker to start

    platform = await entered.enter_async_context(Platform(local, None, out.note, workers=()))
    return platform, platform.settings


def _wanted(at: _Reached, name: str, count: int) -> CountChange:
    """The change that is asked for. Raises ConfigError if it is not possible, and while another has begun."""
    topic = counts.topic_of(name)
    if at.begun:
        if (name, count) != (at.begun.name, at.begun.after):
            raise ConfigError(
                f"`k2 partitions {at.begun.name} {at.begun.after}` has begun and not ended: run that again"
            )
        return at.begun
    if topic not in at.counts:
        raise ConfigError(
            f"topic {topic} does not exist yet: set {plan.variable(name)}={count} before the first start"
        )
    wanted = CountChange(name, at.counts[topic], count)
    plan.check(wanted)
    return wanted


async def _change(at: _Reached, wanted: CountChange, out: Printer, *, dry_run: bool, yes: bool) -> None:
    after = plan.after(at.settings, wanted)
    made = plan.plan(after, wanted, at.counts)
    value = {**wanted._asdict(), "grows": dict(made.grows), "settings": made.variables}
    if wanted.after == wanted.before:
        out.line({**value, "changed": False}, f"{counts.topic_of(wanted.name)} has {wanted.after} partitions")
        return
    for line in made.lines():
        out.say(line)
    if dry_run:
        out.line({**value, "changed": False}, "nothing was done (--dry-run)")
        return
    if not out.confirm("do it?", yes=yes):
        raise SystemExit(FAILED)
    if at.begun is None:
        if at.platform:
            from k2stream.partitions import local

            at.platform.settings = at.settings
            await local.drain(at.platform)
        await rest.check_stopped(at.settings.kafka)
        await rest.check_drained(at.settings)
    await _close(at, wanted)
    await change.do(made, out.note)
    said = " ".join(f"{name}={count}" for name, count in made.variables.items())
    out.line(
        {**value, "changed": True}, f"done: set {said} for every worker and command (`k2 up` finds them)"
    )


async def _close(at: _Reached, wanted: CountChange) -> None:
    """Let no worker start any more, and then look: one may have started since. Raises ConfigError."""
    before = replace(at.settings, **{f"{wanted.name}_partitions": wanted.before})
    await counts.begin(at.settings.kafka, wanted)
    try:
        await rest.check_stopped(at.settings.kafka)
        await rest.check_drained(before)
    except BaseException:
        if at.counts[counts.topic_of(wanted.name)] == wanted.before:  # nothing is done: workers may go on
            await counts.end(at.settings.kafka, wanted)
        raise


def _listed(at: _Reached) -> tuple[dict[str, Any], Table]:
    table = Table(box=None, pad_edge=False, padding=(0, 1), collapse_padding=True)
    for heading in ("name", "topic", "partitions", "setting"):
        table.add_column(heading, justify="right" if heading == "partitions" else "left", no_wrap=True)
    listed = []
    for name in counts.NAMES:
        topic, variable = counts.topic_of(name), plan.variable(name)
        count = at.counts.get(topic)
        listed.append({"name": name, "topic": topic, "partitions": count, "setting": variable})
        table.add_row(name, topic, "-" if count is None else str(count), variable)
    begun = at.begun._asdict() if at.begun else None
    return {"counts": listed, "begun": begun}, table
