import pytest

from k2stream.embedded import jvm
from k2stream.embedded.errors import StackError

# Stands for `java`: dies when told to use an AOT cache, as a JVM that maps a damaged one may.
JAVA = """#!/bin/sh
case "$*" in *-XX:AOTCache=*) echo "cannot map the cache"; exit 134;; esac
echo up
exec sleep 600
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    java = tmp_path / "java"
    java.write_text(JAVA)
    java.chmod(0o755)
    monkeypatch.setattr(jvm, "JAVA", str(java))
    log = tmp_path / "log"

    async def ready():
        return log.read_text() == "up\n"

    return jvm.Program("demo", ("-Xmx8m",), ("Main",), log, tmp_path / "demo.aot", ready)


async def test_a_damaged_aot_cache_never_blocks_a_start(program):
    program.aot.write_bytes(b"damaged")
    child = await program.start()
    assert child.returncode is None
    assert not program.aot.exists()
    await child.stop(5)


async def test_a_start_that_fails_anyway_shows_the_log(program, monkeypatch):
    monkeypatch.setattr(jvm, "JAVA", "false")
    program.aot.write_bytes(b"sound")
    with pytest.raises(StackError, match="demo ended with status 1"):
        await program.start()


def test_the_aot_cache_changes_with_what_it_is_made_of(tmp_path):
    first = jvm.aot_file(tmp_path, "kafka", "a.jar")
    assert first == jvm.aot_file(tmp_path, "kafka", "a.jar")
    assert first != jvm.aot_file(tmp_path, "kafka", "b.jar")
    assert first.parent == tmp_path / "aot"
