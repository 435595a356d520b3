"""The data of an insert: in memory while they are small, else on disk, the same bytes either way."""

from pathlib import Path

import pytest

from k2stream.embedded.clickhouse.inserts import IN_MEMORY, DataFile


@pytest.mark.parametrize("size", [0, 10, IN_MEMORY, IN_MEMORY + 1])
def test_all_is_there_and_only_much_is_on_disk(tmp_path, size):
    blocks = [b"a" * (size // 2), b"b" * (size - size // 2)]
    with DataFile(tmp_path) as data:
        for block in blocks:
            data.write(block)
        assert Path(data.path()).read_bytes() == b"".join(blocks)
        on_disk = Path(data.path()).readlink().is_relative_to(tmp_path)
    assert on_disk == (size > IN_MEMORY)
    assert not list(tmp_path.iterdir())
