"""Where a stage runs: what it reads, and where it may write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """One broker, an input topic of exactly the stage's records, an output topic, folders of its own."""

    bootstrap: str
    input: str
    output: str
    state: Path
    progress: Path
