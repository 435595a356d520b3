"""Every container's process runs without an engine: built as the image is, as a user who owns nothing."""

import asyncio
import compileall
import subprocess
import time

import httpx
import pytest

from tests.deploy.composed import limit, ours, seconds
from tests.deploy.containers import USER, containers, left_behind

pytestmark = pytest.mark.deploy

READY_WITHIN = 180.0
STORED_WITHIN = 90.0
"""Seconds; on a quiet machine both together take 15."""

CHANGED = {
    # One machine runs everything at once here.
    **{f"K2_{name}_PARTITIONS": "1" for name in ("BINANCE", "KRAKEN", "COINBASE", "NORMALIZED")},
    "K2_COLD_COMMIT_SECONDS": "3",
}

NOBODY = {"K2_REGISTRY_URL": "http://127.0.0.1:9/apis/ccompat/v7"}
"""Feeds wait for the broker alone, and need nothing else."""

STORED = {
    "hot": ('k2_sink_rows_total{table="silver_trades"}', 'k2_sink_rows_total{table="ohlcv_1m"}'),
    "cold": ('k2_sink_rows_total{table="cold.silver_trades"}',),
    "normalize": ("k2_normalized_trades_total",),
    "candles": ("k2_candle_updates_total",),
}
"""Metrics that show that a role does what it is for."""


def test_the_image_is_compiled_and_its_code_belongs_to_root(image):
    packages = image / "opt" / "k2"
    assert {path.lstat().st_uid for path in packages.rglob("*")} == {0}
    assert not [path for path in packages.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022]
    code = next(packages.glob("lib/python3*/site-packages/k2stream"))
    sources = set(code.rglob("*.py"))
    compiled = {path.parent.parent / f"{path.name.partition('.')[0]}.py" for path in code.rglob("*.pyc")}
    assert sources and sources == compiled
    assert compileall.compile_dir(code, quiet=1, force=False)
    assert not list(packages.glob("lib/python3*/site-packages/chdb*"))


def test_the_command_line_is_there_and_no_source_is_needed(image):
    version = subprocess.run(
        [image / "opt" / "k2" / "bin" / "k2", "--version"],
        cwd="/", user=USER, group=USER, extra_groups=[], env={"LD_LIBRARY_PATH": f"{image}/usr/local/lib"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert (version.returncode, version.stdout.split()[0]) == (0, "k2,")


async def metrics(client, url):
    """The samples of a worker: name with labels, a space, value; none while it does not answer."""
    try:
        text = (await client.get(f"{url}/metrics")).text
    except httpx.TransportError:
        return []  # asked again
    return [line.rpartition(" ") for line in text.splitlines() if line.startswith("k2_")]


async def until(what, condition, within):
    """Wait until an awaitable condition holds, which says what is missing."""
    deadline = time.monotonic() + within
    while missing := await condition():
        assert time.monotonic() < deadline, f"{what}: {missing}"
        await asyncio.sleep(0.5)


@pytest.mark.asyncio(loop_scope="session")
async def test_every_role_runs_as_its_container_would(image, servers, tmp_path):
    bodies = ours("simulated")
    with containers(image, bodies, servers, tmp_path) as made:
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:

            async def not_ready():
                made.restart_ended()
                missing = [name for name in made.running if not await answers(client, made, name)]
                return {name: made.log(name) for name in missing}

            async def unhealthy():  # again, where a rebalance came since
                found = {name: made.check(name) for name in bodies}
                return {name: said for name, said in found.items() if said != (0, "")}

            async def not_stored():
                found = {name: await metrics(client, made.url(name, 6066)) for name in STORED}
                return [
                    wanted
                    for name, all_wanted in STORED.items()
                    for wanted in all_wanted
                    if not any(key.startswith(wanted) and float(value) > 0 for key, _, value in found[name])
                ]

            made.start("simulate")
            for name in bodies:
                if name != "simulate":
                    made.start(name, **CHANGED, **(NOBODY if name.startswith("ingest-") else {}))
            await until("not ready", not_ready, READY_WITHIN)
            await until("unhealthy", unhealthy, READY_WITHIN)
            await until("not stored", not_stored, STORED_WITHIN)
            status = await client.get(f"{made.url('candles', 8066)}/v1/status")
            assert status.status_code == 200
        ends = {name: made.stop(name, seconds(bodies[name]["stop_grace_period"])) for name in bodies}
    assert set(ends.values()) == {0}, ends
    assert left_behind(image) == []
    assert {name: made.peaks[name] for name in bodies if made.peaks[name] > limit(bodies[name])} == {}
    assert {path.name for path in (image / "var" / "lib" / "k2").iterdir()} <= {"data"}


async def answers(client, made, name):
    """Whether a container answers as ready."""
    port, path = (9100, "/stats") if name == "simulate" else (6066, "/health")
    try:
        return (await client.get(f"{made.url(name, port)}{path}")).status_code == 200
    except httpx.TransportError:
        return False
