"""The wheel carries everything it needs, under one top-level name."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

from k2stream import cli
from k2stream.extras import EXTRAS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_the_only_top_level_name_is_k2stream(wheel):
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"k2stream"}


def test_every_packaged_file_of_the_checkout_is_inside(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    links = ("agents", "tables", "schemas", "config")
    wanted = {name for name in listed.splitlines() if name.startswith("k2stream/")} - {
        f"k2stream/{x}" for x in links
    }
    wanted |= {
        f"k2stream/{name}" for name in listed.splitlines() if name.startswith(tuple(f"{x}/" for x in links))
    }
    assert wanted - inside == set()


def test_it_runs_from_elsewhere(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import k2stream; from k2stream import instruments, settings;"
        "print(k2stream.__file__, len(instruments.load(settings.load({}).feeds.instruments_file)))"
    )
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == [str(tmp_path / "k2stream" / "__init__.py"), "34"]


def test_a_missing_extra_is_named_in_one_line(monkeypatch):
    monkeypatch.setattr(cli, "import_module", broken("chdb.session"))
    result = CliRunner().invoke(cli.main, ["topics"])
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line == (
        "Error: `k2 topics` needs chdb: pip install 'k2stream[local]' (k2stream[all] has everything)"
    )
    monkeypatch.setattr(cli, "import_module", broken("k2stream.nowhere"))
    assert isinstance(CliRunner().invoke(cli.main, ["topics"]).exception, ModuleNotFoundError)


WITHOUT_EXTRAS = """
import importlib, pkgutil, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

missing = set(sys.argv[1:])
sys.meta_path.insert(0, Missing())
from k2stream import batch
for name in batch.__all__:
    getattr(batch, name)
for module in pkgutil.walk_packages(batch.__path__, "k2stream.batch."):
    importlib.import_module(module.name)
app = batch.BatchApp("clicks", **batch.batch_app_options("localhost:9092"))
app.tables.add(batch.BatchTable(app, name="totals", partitions=4))
app.web.tables()
"""


def test_the_transport_needs_no_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = {
        re.split(r"[^\w.-]", line)[0].lower()
        for group in project["optional-dependencies"].values()
        for line in group
    }
    modules = [
        module
        for module, found in metadata.packages_distributions().items()
        if extra & {name.lower() for name in found} and module != "k2stream"
    ]
    assert "litestar" in modules
    command = [sys.executable, "-c", WITHOUT_EXTRAS, *modules]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def broken(module):
    def fail(name):
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    return fail


def test_each_library_of_an_extra_is_known_by_its_module():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS.values()) == set(extras) - {"all", "read"}
    for module, extra in EXTRAS.items():
        found = metadata.packages_distributions()[module]
        lines = [(name, line) for name in found for line in extras[extra]]
        assert any(re.match(rf"{re.escape(name)}\b", line, re.I) for name, line in lines), module
