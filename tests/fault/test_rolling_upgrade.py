"""Running workers of an earlier release, replaced one by one while trades flow: nothing differs."""

from functools import partial

import pytest

from k2stream.platform.platform import WORKERS, Platform
from tests.fault import report
from tests.fault.platforms import (
    FOUR,
    GROUPS,
    Extra,
    caught_up,
    exact,
    members,
    quiet,
    recovered,
    running,
    until,
)
from tests.fault.progress import watched
from tests.fault.releases import RELEASES, unpacked
from tests.fault.test_exchanges import complete
from tests.fault.test_partitions import command

pytestmark = [pytest.mark.fault, pytest.mark.asyncio(loop_scope="session")]

RATE = 200
SECONDS = 10
READY_SECONDS = 180
STALL_SECONDS = 30
ORDER = ("hot", "cold", "certify", "candles", "normalize", "ingest")
"""As docs/operations/run.md has it: readers before writers."""


def specs(role):
    return [spec for spec in WORKERS if spec.role == role]


def refused_or_failed(platform):
    """Logs that say so: of a refusal in either release, of a failure in the present one."""
    logs = (platform.settings.local.data_path / "logs").glob("*.log*")
    found = {path.name: path.read_text() for path in logs}
    return [
        name
        for name, text in found.items()
        if "StateRefused" in text or ("Traceback" in text and not name.startswith("extra-"))
    ]


@pytest.mark.parametrize("release", RELEASES)
async def test_workers_are_replaced_one_by_one(release, tmp_path):
    """Each new worker shares the partitions of its role with the old one for a while, which then leaves."""
    code = unpacked(release, tmp_path / "code")
    roles = [role for role in ORDER if (code / "agents" / f"{role}.py").exists()]
    async with running(tmp_path, rate=RATE, make_platform=partial(Platform, workers=()), **FOUR) as platform:
        earlier = {
            spec.name: Extra(platform, spec.role, exchange=spec.exchange, code=code, number=number)
            for number, spec in enumerate(WORKERS)
            if spec.role in roles
        }
        for extra in earlier.values():
            await extra.__aenter__()
        for name, extra in earlier.items():
            await until(extra.healthy, READY_SECONDS, f"{name} of {release} is ready")
        await quiet(platform, SECONDS)
        done, said = await command(platform, "k2stream", "migrate")
        assert done == 0, said
        async with watched(platform.settings) as progress:
            for role in ORDER:
                progress.name(role)
                for spec in specs(role):
                    old = earlier.get(spec.name)
                    if old and role == "ingest":  # two feeds of an exchange are never wanted
                        await old.leave()
                    await platform._start_worker(spec)
                    await recovered(platform)
                    if old and role != "ingest":

                        async def both(old=old, group=GROUPS[role], spec=spec):
                            return (
                                await old.healthy()
                                and await platform._probe(spec.name)()
                                and len(await members(platform, group)) == 2
                            )

                        await until(both, READY_SECONDS, f"two releases of {role} side by side", platform)
                        await quiet(platform, SECONDS)
                        await old.leave()
                        await recovered(platform)
                await quiet(platform, 5)
            await caught_up(platform, 120)
        trades = await complete(platform)
        checked = await exact(platform)
        bad = refused_or_failed(platform)
    assert not bad
    assert not platform.restarts
    assert progress.live <= STALL_SECONDS, progress.live_worst
    injected = {
        "roles side by side": len(roles) - 1,
        "s each": SECONDS,
        "trades/s": RATE,
        "old workers that ended": sum(extra.ended for extra in earlier.values()),
    }
    report.record(
        f"upgrade {release}",
        injected,
        {"trades made": trades, **checked} | progress.told(),
    )
