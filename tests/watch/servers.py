"""Prometheus, Alertmanager and a receiver of its webhooks, on this machine."""

import asyncio
import re
import shutil
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import yaml
from aiohttp import web

from k2stream.embedded.ports import HOST, free_port
from k2stream.embedded.process import Child

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"
READY_SECONDS = 120
"""On a machine that does much else."""

FASTER = 20
"""Windows and waiting times of alerts are shortened by this factor, so that each can fire and resolve."""

_UNITS = {"s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"(?<=\[|\s)(\d+)([smh])(?=\]|\)|\s|$)", re.MULTILINE)
_AGES = {"> 60\n": "> 4\n", "> 120\n": "> 5\n", "> 2700\n": "> 60\n", "< 2700)\n": "< 60)\n"}
_AGES |= {f"< {slow}) > 0\n": f"< {slow // FASTER}) > 0\n" for slow in (300, 600, 900)}


def program(name):
    """The path of a program that the system has to have."""
    found = shutil.which(name)
    assert found, f"no {name}: `apt-get install prometheus prometheus-alertmanager`, or your system's package"
    return found


def promtool(*arguments):
    """What promtool says; fails when it finds a mistake."""
    result = subprocess.run([program("promtool"), *arguments], cwd=PROMETHEUS, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def faster(rules):
    """The alert rules with shorter windows, waiting times and ages."""
    for slow, fast in _AGES.items():
        rules = rules.replace(slow, fast)
    return _DURATION.sub(lambda found: f"{max(2, int(found[1]) * _UNITS[found[2]] // FASTER)}s", rules)


async def answers(url):
    """Whether a server answers with 200."""
    try:
        async with httpx.AsyncClient(verify=False) as client:  # plain HTTP: no certificates are loaded
            return (await client.get(url)).status_code == 200
    except httpx.TransportError:
        return False


async def until(condition, seconds):
    """Wait until an awaitable condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.2)


class Receiver:
    """A webhook receiver: the alerts that are firing, and those that were resolved, by name."""

    def __init__(self):
        self.firing, self.resolved = {}, {}
        self._changed = asyncio.Condition()

    async def take(self, request):
        async with self._changed:
            for alert in (await request.json())["alerts"]:
                name = alert["labels"]["alertname"]
                (self.firing if alert["status"] == "firing" else self.resolved)[name] = alert
            self._changed.notify_all()
        return web.Response()

    async def until(self, wanted, seconds):
        """Wait until a condition of what was received holds."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(wanted)

    @asynccontextmanager
    async def serving(self):
        """Serve; yields the URL to send to."""
        app = web.Application()
        app.add_routes([web.post("/", self.take)])
        runner = web.AppRunner(app)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, HOST, port).start()
        yield f"http://{HOST}:{port}/"
        await runner.cleanup()


@asynccontextmanager
async def alertmanager(folder, webhook):
    """A real Alertmanager that sends every alert at once; yields its address."""
    port = free_port()
    route = {
        "receiver": "all",
        "group_by": ["..."],
        "group_wait": "0s",
        "group_interval": "1s",
        "repeat_interval": "1h",
    }
    receiver = {"name": "all", "webhook_configs": [{"url": webhook, "send_resolved": True}]}
    config = folder / "alertmanager.yml"
    config.write_text(yaml.safe_dump({"route": route, "receivers": [receiver]}))
    command = [
        program("prometheus-alertmanager"),
        f"--config.file={config}",
        f"--storage.path={folder / 'alerts'}",
    ]
    command += [f"--web.listen-address={HOST}:{port}", "--cluster.listen-address="]
    child = await Child.spawn("alertmanager", command, folder / "alertmanager.log", env={})
    try:
        await child.until_ready(lambda: answers(f"http://{HOST}:{port}/-/ready"), READY_SECONDS)
        yield f"{HOST}:{port}"
    finally:
        await child.stop(3)


@asynccontextmanager
async def prometheus(folder, workers, alerts):
    """A real Prometheus that scrapes workers (base URLs) with our rules, made faster; yields its base URL."""
    port = free_port()
    (folder / "alerts.yml").write_text(faster((PROMETHEUS / "alerts.yml").read_text()))
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"] = [{"targets": [urlsplit(url).netloc for url in workers]}]
    config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alerts]}]}]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [program("prometheus"), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'metrics'}", f"--web.listen-address={HOST}:{port}"]
    child = await Child.spawn("prometheus", command, folder / "prometheus.log", env={})
    try:
        await child.until_ready(lambda: answers(f"http://{HOST}:{port}/-/ready"), READY_SECONDS)
        yield f"http://{HOST}:{port}"
    finally:
        await child.stop(3)
