"""Every error of the product is in one tree, and ends a process as one line with its exit code."""

import ast
import builtins
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from k2stream import cli
from k2stream.model.errors import ConfigError, Expired, StateRefused, Unavailable
from tests.unit.test_architecture import MODULES, ROOT, name

OUTSIDE = {"IncompleteRead"}  # a warning: what could be read is given
"""Exception classes that are not in the tree, each with its reason."""


def classes():
    """Of each class of the product: where it is, and the names of its bases."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                yield node.name, (name(path), [ast.unparse(base).rpartition(".")[2] for base in node.bases])


def test_every_exception_is_in_the_tree():
    known = dict(classes())

    def kinds(label):
        """The class and all it inherits from, by name."""
        found, ahead = set(), {label}
        while ahead:
            found |= ahead
            ahead = {base for item in ahead if item in known for base in known[item][1]} - found
        return found

    def is_exception(label):
        found = getattr(builtins, label, None)
        return (isinstance(found, type) and issubclass(found, BaseException)) or label.endswith(
            ("Error", "Exception")
        )

    errors = {label for label in known if any(map(is_exception, kinds(label)))}
    outside = {label for label in errors if "K2Error" not in kinds(label)}
    assert len(errors) > 25
    assert outside == OUTSIDE, [known[label][0] for label in outside ^ OUTSIDE]


ENDS = [(ConfigError, 1), (Expired, 1), (Unavailable, 1), (StateRefused, 78)]


@pytest.mark.parametrize(("kind", "code"), ENDS)
def test_k2_prints_one_line(kind, code, monkeypatch):
    def fail(module):
        raise kind("what is wrong; what to do")

    monkeypatch.setattr(cli, "import_module", fail)
    result = CliRunner().invoke(cli.main, ["topics"])
    assert (result.exit_code, result.stderr) == (code, "Error: what is wrong; what to do\n")


def faust(app, path, **environ):
    """What plain Faust says of an app, and its exit code."""
    command = [sys.executable, "-m", "faust", "-A", app, "worker"]
    environ = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{path}"} | environ
    done = subprocess.run(command, cwd=path, env=environ, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("app", "given", "said"),
    [
        ("agents.candles", {"K2_GRACE_SECONDS": "-1"}, "Error: K2_GRACE_SECONDS='-1': "),
        ("k2stream.agents.normalize", {"K2_NO_SUCH": "1"}, "Error: K2_NO_SUCH is not a setting"),
        ("k2stream.agents.hot", {"K2_WEB_PORT": "x"}, "Error: K2_WEB_PORT='x': "),
        ("k2stream.agents.ingest", {}, "Error: K2_EXCHANGE is not set; use one of "),
        ("k2stream.agents.ingest", {"K2_EXCHANGE": "nyse"}, "Error: unknown exchange 'nyse'; use one of "),
    ],
)
def test_plain_faust_prints_one_line(app, given, said, tmp_path):
    code, line = faust(app, tmp_path, **given)
    assert code == 1
    assert line.startswith(said)
    assert line.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "code"), ENDS)
def test_plain_faust_keeps_the_exit_code(kind, code, tmp_path):
    (tmp_path / "application.py").write_text(
        "from k2stream.app import create_app\n"
        f"from k2stream.model.errors import {kind.__name__}\n"
        "app = create_app('hot')\n"
        f"raise {kind.__name__}('what is wrong; what to do')\n"
    )
    assert faust("application", tmp_path) == (code, "Error: what is wrong; what to do\n")


def test_another_error_keeps_its_traceback(tmp_path):
    (tmp_path / "application.py").write_text(
        "from k2stream.app import create_app\napp = create_app('hot')\nraise RuntimeError('a mistake')\n"
    )
    code, said = faust("application", tmp_path)
    assert code == 1
    assert "Traceback" in said and said.endswith("RuntimeError: a mistake\n")
