"""`make sbom`: the bill of materials of what is locked and run, as CycloneDX in JSON."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOL = "cyclonedx-bom==7.5.0"


def write(path: Path, uv: str) -> None:
    """Write it, the same for the same lock file, and check it against CycloneDX's schema.

    uv fetches the tool: a dependency of it would make jsonschema compile a grammar on import, 1.8 s of CPU in
    each worker.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    options = ["--output-reproducible", "--validate", "--spec-version", "1.6", "--output-format", "JSON"]
    options += [
        "--pyproject",
        "pyproject.toml",
        "--mc-type",
        "application",
        "--output-file",
        str(path.absolute()),
    ]
    command = [
        uv,
        "tool",
        "run",
        "--from",
        TOOL,
        "cyclonedx-py",
        "requirements",
        *options,
        "requirements.lock",
    ]
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.argv[2])
