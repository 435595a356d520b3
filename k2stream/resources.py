"""Folders of files that ship with the package: schemas/ and config/."""

from pathlib import Path

_PACKAGE = Path(__file__).parent

SCHEMAS = _PACKAGE / "schemas"
CONFIG = _PACKAGE / "config"
