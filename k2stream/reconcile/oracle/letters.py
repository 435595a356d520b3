"""Compares dead letters with records the oracle cannot use: each bad record has one, no good one has."""

from __future__ import annotations

from pathlib import Path

from k2stream import topics
from k2stream.model.comparison import MOST, Comparison, Difference
from k2stream.reconcile.oracle.engine import OracleEngine

NAME = "dead letters"

_LONGEST = 660_000
"""Bytes of a record that its letter has at most."""


def compare_letters(engine: OracleEngine, folder: Path, *, all_retained: bool) -> Comparison:
    """Compare the dead letters with the raw records, and with unreadable records of other topics.

    A dead letter names its record by topic, partition and offset, whichever stage wrote it. `all_retained`:
    nothing of the dead-letter topic has expired, so every one must be there; otherwise those of the records
    after the first one that still has a letter. Frames that never became a record are skipped.
    """
    _judge(engine, folder)
    result = Comparison(NAME, reason="frames that never became a record, and records that have expired")
    joined = """(SELECT *, 1 AS present FROM letters) AS l
        INNER JOIN judged AS r ON r.topic = l.topic AND r.partition = l.partition AND r.offset = l.offset"""
    result.compared = engine.number(f"SELECT count() FROM {joined}")
    result.skipped = engine.number("SELECT count() FROM letters") - result.compared
    position = "l.topic, l.partition, l.offset, l.stage"
    for topic, number, offset, stage in engine.rows(
        f"SELECT {position} FROM {joined} WHERE NOT r.bad AND NOT r.doubtful LIMIT {MOST}"
    ):
        what = f"{topic}[{number}] offset {offset}"
        result.add([Difference(NAME, what, f"letter of {stage}", "absent", "present")])
    for topic, number, offset, _ in engine.rows(
        f"""SELECT {position} FROM {joined} WHERE r.body != '' AND NOT (
            startsWith(r.body, l.original) AND length(l.original) = least(length(r.body), {_LONGEST}))
        LIMIT {MOST}"""
    ):
        what = f"{topic}[{number}] offset {offset}"
        result.add([Difference(NAME, what, "original", "the record's bytes", "other bytes")])
    for topic, number, offset in engine.rows(
        f"""SELECT r.topic, r.partition, r.offset FROM judged AS r LEFT ANTI JOIN letters AS l
            ON r.topic = l.topic AND r.partition = l.partition AND r.offset = l.offset
        WHERE r.bad AND r.required AND ({"1" if all_retained else _KEPT}) LIMIT {MOST}"""
    ):
        what = f"{topic}[{number}] offset {offset}"
        result.add([Difference(NAME, what, "letter", "present", "missing")])
    return result


_KEPT = """(r.topic, r.partition, r.offset) IN (
    SELECT topic, partition, judged.offset FROM judged INNER JOIN (
        SELECT topic, partition, min(offset) AS begins FROM letters
        WHERE stage = 'normalize' OR NOT endsWith(topic, '.raw') GROUP BY topic, partition) AS first
    USING (topic, partition) WHERE judged.offset > begins)"""
"""SQL: the letter came after one that is left. Sinks that read again repeat only some of a raw topic."""


def _judge(engine: OracleEngine, folder: Path) -> None:
    """Create `judged`: every raw or unreadable record, whether it is bad, and its bytes."""
    raw = " UNION ALL ".join(
        f"""SELECT '{topics.raw(name)}' AS topic, '{name}' AS exchange, raw_partition, raw_offset, body,
            required, storable FROM file('{folder / f"{name}.parquet"}', Parquet) WHERE NOT cold"""
        for name in topics.EXCHANGES
    )
    engine.table(
        "judged",
        f"""SELECT topic, r.raw_partition AS partition, r.raw_offset AS offset, required,
            if((topic, r.raw_partition, r.raw_offset) IN (SELECT topic, partition, offset FROM letters),
               body, '') AS body,
            NOT (t.good AND storable) AS bad, t.doubtful AS doubtful
        FROM ({raw}) AS r LEFT JOIN trades AS t
            ON t.exchange = r.exchange AND t.raw_partition = r.raw_partition AND t.raw_offset = r.raw_offset
        UNION ALL SELECT topic, partition, offset, true, body, true, false FROM unreadable""",
        "(topic, partition, offset)",
    )
