"""What is installed is pinned; secrets in the tree are found; an audit that was none says so."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.supply import audit, secrets

ROOT = Path(__file__).parents[3]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ \\;]+)", re.MULTILINE)


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_pin_has_hashes(name):
    blocks = re.split(r"\n(?=\S)", (ROOT / name).read_text().strip())
    assert len(blocks) > 50
    for block in blocks:
        assert PIN.match(block) and "--hash=sha256:" in block, block[:80]


def test_nothing_beside_the_workers_slows_their_start():
    """Where it is installed, jsonschema compiles its grammar on import: 1.8 s of CPU in each worker."""
    assert "rfc3987-syntax" not in (ROOT / "requirements-dev.lock").read_text()


LEAKS = {
    "a.py": 'PASSWORD = "correcthorsebattery"\n',
    "b.yml": "aws: AKIAIOSFODNN7EXAMPLQ\n",
    "c.pem": "-----BEGIN RSA PRIVATE KEY-----\nabc\n",
    "d.md": "https://someone:correcthorse@example.org/\n",
    "e.env": "token=ghp_" + "a1B2" * 9 + "\n",
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_secret_in_the_tree_is_found(tmp_path, name):
    path = tmp_path / name
    path.write_text("nothing\n" + LEAKS[name])
    assert [(found.file, found.line) for found in secrets.scan([path], tmp_path)][:1] == [(name, 2)]


def test_every_exception_is_needed():
    """The whole tree is scanned by `make check`."""
    for name in secrets.KNOWN:
        assert secrets.scan([ROOT / name]), f"{name} has none"


CLEAN = {"dependencies": [{"name": "a", "version": "1", "vulns": []}], "fixes": []}
BROKEN = {
    "dependencies": [
        {"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"], "aliases": []}]}
    ]
}
UNKNOWN = {"dependencies": [{"name": "b", "skip_reason": "not found"}]}


@pytest.mark.parametrize(
    ("out", "error", "code", "said"),
    [
        (json.dumps(CLEAN), "", 0, "1 packages, no known vulnerability"),
        (json.dumps(BROKEN), "Found 1", audit.VULNERABLE, "a 1: PYSEC-1, fixed in 2"),
        (
            "",
            "ConnectionError: osv.dev",
            audit.NOT_AUDITED,
            "could not reach the database: not audited (Conn",
        ),
        ("", "", audit.NOT_AUDITED, "could not reach the database: not audited (no answer)"),
        ("[]", "", audit.NOT_AUDITED, "could not reach the database: not audited"),
        (json.dumps(UNKNOWN), "", audit.NOT_AUDITED, "not audited (b)"),
        (json.dumps({"dependencies": []}), "", audit.NOT_AUDITED, "not audited (all)"),
    ],
)
def test_an_audit_that_was_none_is_no_pass(capsys, out, error, code, said):
    asked = []

    def run(words):
        asked.append(list(words))
        return subprocess.CompletedProcess(words, 1, out, error)

    assert audit.main("uv", run) == code
    assert said in capsys.readouterr().out
    assert asked[0][:3] == ["uv", "tool", "run"] and "requirements.lock" in asked[0]


def test_the_audit_is_no_part_of_ci_here():
    """It needs a database that a build without a network does not reach."""
    assert "audit" not in (ROOT / ".ci/run").read_text()
    assert "tests.supply.secrets" in (ROOT / "Makefile").read_text().split("\ncheck:")[1].split("\n\n")[0]
