"""The code of earlier releases, by the commits that releases.txt names, the last one last."""

import subprocess
from pathlib import Path

HERE = Path(__file__).parent
RELEASES = (HERE / "releases.txt").read_text().split()
PARTS = ("k2stream", "agents", "tables", "schemas", "config")


def unpacked(release, folder):
    """A folder with the code of a release, to run it in."""
    folder.mkdir()
    packed = subprocess.run(
        ["git", "archive", release, *PARTS], cwd=HERE.parents[1], capture_output=True, check=True
    ).stdout
    subprocess.run(["tar", "-x"], cwd=folder, input=packed, check=True)
    return folder
