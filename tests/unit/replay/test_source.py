"""Which records a replay reads, and in which batches."""

from typing import Any, cast

import numpy as np
import pytest
from faust.types import TP

from k2stream.batch import RecordBatch
from k2stream.model.errors import ConfigError
from k2stream.replay import source
from k2stream.replay.source import SourceRange, stretch


@pytest.mark.parametrize(
    ("origin", "held", "cold_end", "expected"),
    [
        ("auto", (0, 90), 80, (0, 90)),
        ("auto", (50, 90), 50, (50, 90)),
        ("auto", (50, 90), 80, (50, 90)),
        ("auto", (90, 90), 90, (90, 90)),
        ("topics", (0, 90), 80, (0, 90)),
        ("cold", (50, 90), 80, (80, 80)),
        ("cold", (0, 0), 80, (80, 80)),
    ],
)
def test_the_cold_tier_has_what_was_before_the_topic(origin, held, cold_end, expected):
    assert stretch(origin, "kraken", 1, held, cold_end) == SourceRange("kraken", 1, *expected)


def test_a_hole_is_told_with_its_offsets():
    with pytest.raises(ConfigError, match=r"kraken.raw\[1\] .*offsets 40 to 49 are nowhere"):
        stretch("auto", "kraken", 1, (50, 90), 40)
    with pytest.raises(ConfigError, match="ends at offset 0, the cold tier at 40"):
        stretch("auto", "kraken", 1, (0, 0), 40)
    with pytest.raises(ConfigError, match="begins at offset 50"):
        stretch("topics", "kraken", 1, (50, 90), 60)


def records(offsets):
    offsets = np.array(list(offsets))
    keys: list[bytes | None] = [b"k"] * len(offsets)
    values: list[bytes | None] = [b"%d" % offset for offset in offsets]
    return RecordBatch(TP("t", 1), offsets, offsets, keys, values)


class Reader:
    def __init__(self, batches):
        self.batches = batches

    async def read(self, topic, stretches):
        for batch in self.batches:
            yield batch


OFFSETS = [*range(3, 11), 15, *range(17, 33), 50]


@pytest.mark.parametrize("size", [1, 2, 7, 100])
async def test_batches_end_at_the_same_offsets_however_records_come(size):
    fetched = [records(OFFSETS[first : first + size]) for first in range(0, len(OFFSETS), size)]
    part = SourceRange("kraken", 1, 0, 40)
    reader, bronze = cast(Any, Reader(fetched)), cast(Any, None)
    cut = [batch async for batch in source.batches(reader, bronze, part, 10, print)]
    expected = [[o for o in OFFSETS if low <= o < low + 10 and o < 40] for low in (0, 10, 20, 30)]
    assert [batch.offsets.tolist() for batch in cut] == expected
    assert b"".join(value or b"" for batch in cut for value in batch.values) == b"".join(
        b"%d" % offset for part in expected for offset in part
    )
