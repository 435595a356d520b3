"""How this program is called, so that a command that a message names can be typed as it stands."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

NAME = "k2"


def program() -> str:
    """`k2` where the shell finds it, else the path of the script: relative if it is below this folder."""
    script = Path(sys.argv[0])
    if script.name == "__main__.py":  # python -m k2stream
        script = Path(sys.executable).with_name(NAME)
    found = shutil.which(NAME)
    if script.name != NAME or not script.exists() or (found and Path(found).samefile(script)):
        return NAME
    absolute = script.absolute()
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute)


def as_called(text: str) -> str:
    """A message in which commands such as `k2 up` are as one has to type them here."""
    name = program()
    return text if name == NAME else re.sub(rf"`{NAME} ", lambda _: f"`{name} ", text)
