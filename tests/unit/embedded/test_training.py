"""What is said of AOT caches that could not be made: the services run without them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2stream.embedded.errors import StackError
from k2stream.embedded.training import train


@dataclass
class Untrainable:
    """A service whose training fails after so many lines of log."""

    name: str
    folder: Path
    lines: int
    port: int = 0
    log: Path = Path()
    trained: bool = False

    async def train(self):
        if self.lines:
            self.log.write_text("java says something\n" * self.lines)
        raise StackError(f"{self.name} ended with status 1; {self.log}:\n" + "  java says something\n" * 15)


async def test_one_calm_line_names_a_log_that_stays(tmp_path):
    said = []
    services: Any = (Untrainable("registry", tmp_path, 20),)
    await train(services, tmp_path, said.append)
    kept = tmp_path / "aot" / "registry.log"
    assert said == [f"registry runs; no AOT cache for a faster next start could be made ({kept})"]
    assert kept.read_text().count("\n") == 20
    assert not list(tmp_path.glob("train-*"))


async def test_without_a_log_the_line_has_the_reason(tmp_path):
    said = []
    services: Any = (Untrainable("registry", tmp_path, 0),)
    await train(services, tmp_path, said.append)
    (line,) = said
    assert "registry ended with status 1" in line and "\n" not in line
