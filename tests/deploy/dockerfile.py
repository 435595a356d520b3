"""Reads the Dockerfile, and carries its build out in a folder: no container engine is needed."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from tests.deploy.composed import ROOT

PATHS = re.compile(r"(?<![\w./])/(?=(?:opt|src|dist)\b)")
"""Where the paths of the image begin that a build writes to."""


class Instruction(NamedTuple):
    name: str
    text: str


@dataclass(slots=True)
class Stage:
    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, name):
        """The texts of its instructions of one name."""
        return [item.text for item in self.instructions if item.name == name]


def stages(text):
    """The stages of a Dockerfile, by name, in order."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found: dict[str, Stage] = {}
    for line in filter(None, joined.splitlines()):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            base, _, stage = rest.partition(" AS ")
            found[stage] = Stage(stage, base)
        elif found:
            next(reversed(found.values())).instructions.append(Instruction(name, rest.strip()))
    return found


STAGES = stages((ROOT / "deploy" / "Dockerfile").read_text())


def chain(name):
    """A stage and those it is made from, the first first."""
    stage = STAGES[name]
    return [*chain(stage.base), stage] if stage.base in STAGES else [stage]


def environment(stage):
    """What its ENV instructions set, as they are written."""
    return dict(word.split("=", 1) for text in stage.all("ENV") for word in shlex.split(text))


def copies(stage):
    """Its COPY instructions: what is copied from the context, and where to; `--from` is left out."""
    for text in stage.all("COPY"):
        if not text.startswith("--"):
            *sources, target = shlex.split(text)
            yield sources, target


def context():
    """The files that a build is given: of the checkout, without what .dockerignore leaves out."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in names if os.path.lexists(ROOT / name) and not _is_ignored(name)]


def _is_ignored(name):
    ignored = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").removeprefix("**/")
            parts = [name, *map(str, Path(name).parents)]
            if any(fnmatch(part, pattern) for part in parts):
                ignored = not line.startswith("!")
    return ignored


class Build:
    """A build below a folder that stands for `/`."""

    def __init__(self, root):
        self.root = root
        self._folder = root
        own = ("K2_", "PYTHON", "VIRTUAL_ENV")
        self._environ = {key: value for key, value in os.environ.items() if not key.startswith(own)}

    def base(self):
        """Python where the official image has it, without what the running one has installed."""
        unneeded = shutil.ignore_patterns(
            "site-packages", "test", "idlelib", "tkinter", "turtledemo", "config-*"
        )
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        source, target = Path(sys.base_prefix), self.root / "usr" / "local"
        shutil.copytree(source / "lib" / version, target / "lib" / version, ignore=unneeded, symlinks=True)
        for library in (source / "lib").glob("libpython*"):
            shutil.copy2(library, target / "lib", follow_symlinks=False)
        (target / "bin").mkdir()
        shutil.copy2(Path(sys.base_prefix) / "bin" / version, target / "bin" / version)
        (target / "bin" / "python").symlink_to(version)
        self._environ |= {"PATH": f"{target / 'bin'}:/usr/bin:/bin", "LD_LIBRARY_PATH": str(target / "lib")}

    def carry_out(self, stage):
        """Carry out a stage in its order: folders, copies, commands."""
        self._environ |= environment(stage)
        for name, text in stage.instructions:
            if name == "WORKDIR":
                self._folder = self._at(text)
                self._folder.mkdir(parents=True, exist_ok=True)
            elif name == "COPY" and not text.startswith("--from"):
                *sources, target = shlex.split(text)
                self._copy(sources, target)
            elif name == "RUN":
                self._run(text)

    def only_copies(self, stage):
        """Of a stage, only what it takes from the context: its commands are for another system."""
        for sources, target in copies(stage):
            self._copy(sources, target)

    def _at(self, path):
        return self.root / path.lstrip("/") if path.startswith("/") else self._folder / path

    def _copy(self, sources, target):
        files = context()
        for source in sources:
            mine = [name for name in files if name == source or name.startswith(f"{source}/")]
            assert mine, f"COPY {source}: not in the context"
            for name in mine:
                inside = name.removeprefix(source).lstrip("/") if (ROOT / source).is_dir() else ""
                folder = target.endswith("/") and not (ROOT / source).is_dir()
                place = self._at(target) / (source if folder else inside)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, place, follow_symlinks=False)

    def _run(self, text):
        command = re.sub(r"--mount=\S+\s*", "", text)
        command = PATHS.sub(f"{self.root}/", command)
        result = subprocess.run(
            ["sh", "-c", command], cwd=self._folder, env=self._environ, capture_output=True, text=True
        )
        assert result.returncode == 0, f"{text}\n{result.stdout}{result.stderr}"
