"""Runs the containers of the compose file as processes: their commands and environments, another user.

What differs: addresses and ports, because all share one machine here, and what `start` is told to change.
"""

import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path

from k2stream.embedded.ports import HOST, free_port
from tests.deploy.composed import environment
from tests.deploy.dockerfile import STAGES
from tests.deploy.dockerfile import environment as set_by

USER = 10001
"""As in the Dockerfile; nobody has this id here."""

_SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/var/lib")


class Containers:
    """The services of a profile, as processes of one machine."""

    def __init__(self, image, bodies, servers, logs):
        self.image, self.logs = image, logs
        self.bodies, self.running = bodies, {}
        self.peaks: dict[str, int] = {}
        self._servers = servers
        self._ports: dict[tuple[str, str], int] = {}
        self._changed: dict[str, dict[str, str]] = {}

    def port(self, name, port):
        """Where a container's port is on this machine."""
        key = name, str(port)
        if key not in self._ports:
            self._ports[key] = free_port(frozenset(self._ports.values()))
        return self._ports[key]

    def url(self, name, port):
        """The base URL of a container's port."""
        return f"http://{HOST}:{self.port(name, port)}"

    def here(self, name, text):
        """A word of a container's command or environment, with the addresses of this machine."""
        for address, other in self._servers.items():
            text = text.replace(address, other)
        hosts = "|".join(map(re.escape, self.bodies))
        text = re.sub(
            rf"(?<=//)({hosts}):(\d+)", lambda found: f"{HOST}:{self.port(found[1], found[2])}", text
        )
        return re.sub(r"(?<=port=)\d+", lambda found: str(self.port(name, found[0])), text)

    def environment(self, name, **changed):
        """What a container's processes see: the image's own, then the service's, then what is changed."""
        root, body = self.image, self.bodies[name]
        own = {
            key: re.sub(r"(?<![\w.])/(?=opt|var)", f"{root}/", value)
            for key, value in set_by(STAGES["runtime"]).items()
        }
        own["PATH"] = own["PATH"].replace("$PATH", f"{root}/usr/local/bin:/usr/bin:/bin")
        made = own | {key: self.here(name, value) for key, value in environment(body).items()}
        host, _, port = self._servers["clickhouse:9000"].partition(":")
        if "K2_CLICKHOUSE_HOST" in made:
            made |= {"K2_CLICKHOUSE_HOST": host, "K2_CLICKHOUSE_PORT": port}
        for setting in ("K2_WEB_PORT", "K2_SERVICE_PORT"):
            if setting in made:
                made[setting] = str(self.port(name, made[setting]))
        if "K2_WEB_HOST" in made:
            made["K2_WEB_HOST"] = HOST
        moved = {"LD_LIBRARY_PATH": "usr/local/lib", "HOME": "var/lib/k2", "TMPDIR": "tmp"}
        return made | {key: f"{root}/{path}" for key, path in moved.items()} | changed

    def start(self, name, **changed):
        """Start a container's process."""
        self._changed[name] = changed
        command = [
            f"{self.image}/opt/k2/bin/k2",
            *(self.here(name, word) for word in self.bodies[name]["command"]),
        ]
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, env=self.environment(name, **changed), stdout=log, stderr=log, **self._alone()
            )

    def restart_ended(self):
        """As the engine does (`restart: unless-stopped`); what ends again and again is told by its log."""
        for name in [name for name, process in self.running.items() if process.poll() is not None]:
            self.start(name, **self._changed[name])

    def check(self, name):
        """The exit code and the output of its health check, as the engine runs it."""
        _, program, script, *arguments = self.bodies[name]["healthcheck"]["test"]
        own = [str(self.port(name, word)) if word.isdigit() else word for word in arguments]
        result = subprocess.run(
            [f"{self.image}/opt/k2/bin/{program}", f"{self.image}{script}", *own],
            env=self.environment(name), capture_output=True, text=True, **self._alone(),
        )  # fmt: skip
        return result.returncode, result.stderr

    def log(self, name):
        """What a container has written, its end."""
        return (self.logs / f"{name}.log").read_text()[-1500:]

    def stop(self, name, seconds):
        """SIGTERM, as the engine sends it; the exit code, None where it took longer."""
        process = self.running.pop(name)
        self.peaks[name] = peak(process.pid)
        process.terminate()
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None

    def _alone(self):
        folder = self.image / "var" / "lib" / "k2"
        return {"user": USER, "group": USER, "extra_groups": [], "cwd": folder, "umask": 0o077}


def peak(pid):
    """The largest resident memory of a process so far, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert found
    return int(found[1]) * 1024


@contextmanager
def containers(image, bodies, servers, logs):
    """All containers of these services; what still runs at the end is killed."""
    made = Containers(image, bodies, servers, logs)
    try:
        yield made
    finally:
        for process in made.running.values():
            process.kill()
            process.wait()


def left_behind(image):
    """Files of the containers' user where anybody may write, and in the image where its data is not."""
    allowed = (image / "var" / "lib" / "k2", image / "tmp")
    found = []
    for top in (*map(Path, _SHARED), image):
        for folder, names, files in os.walk(top):
            if Path(folder) in allowed or (top != image and Path(folder) == image):
                names.clear()
                continue
            paths = (Path(folder, name) for name in [*names, *files])
            found += [path for path in paths if _is_theirs(path) and path not in allowed]
    return found


def _is_theirs(path):
    try:
        return path.lstat().st_uid == USER
    except OSError:  # it is gone
        return False
