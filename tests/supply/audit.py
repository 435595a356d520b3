"""`make audit`: known vulnerabilities of the locked packages, by pip-audit and osv.dev.

A database that cannot be reached is a failure of its own: what was not looked up was not audited.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TOOL = "pip-audit==2.10.1"
LOCKS = ("requirements.lock",)

VULNERABLE, NOT_AUDITED = 1, 2

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


def command(uv: str, lock: str) -> list[str]:
    """The tool, which uv fetches, on a lock file; the wheels themselves are not needed."""
    options = ["--requirement", lock, "--require-hashes", "--disable-pip", "--vulnerability-service", "osv"]
    return [uv, "tool", "run", TOOL, *options, "--format", "json", "--progress-spinner", "off"]


def verdict(done: subprocess.CompletedProcess[str]) -> tuple[int, list[str]]:
    """The exit code and the lines of a run."""
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, LookupError, TypeError):
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1][:300]
        return NOT_AUDITED, [f"could not reach the database: not audited ({reason})"]
    skipped = [item for item in packages if "skip_reason" in item]
    if skipped or not packages:
        names = ", ".join(item["name"] for item in skipped) or "all"
        return NOT_AUDITED, [f"not in the database: not audited ({names})"]
    lines = [_said(item, found) for item in packages for found in item.get("vulns", ())]
    return (VULNERABLE if lines else 0), lines or [f"{len(packages)} packages, no known vulnerability"]


def _said(package: dict[str, Any], found: dict[str, Any]) -> str:
    fixed = ", ".join(found["fix_versions"]) or "none"
    return f"{package['name']} {package['version']}: {found['id']}, fixed in {fixed}"


def _run(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)


def main(uv: str, run: Run = _run) -> int:
    """Audit each lock file; the exit code is that of the worst."""
    worst = 0
    for lock in LOCKS:
        code, lines = verdict(run(command(uv, lock)))
        print("\n".join(f"{lock}: {line}" for line in lines))
        worst = max(worst, code)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
