"""A step of the maintenance of Iceberg tables that fails."""

import logging

from k2stream.iceberg.maintenance import maintain


def test_a_failed_step_is_one_line_with_its_cause_and_counts_as_failed(caplog):
    def load():
        raise OSError("no space left\non device")

    with caplog.at_level(logging.INFO):
        entry = maintain._run(load, "cold.silver_trades", "compact", maintain._Outcome)
    cause = "OSError: no space left on device"
    assert (entry.status, entry.detail) == ("ERROR", cause)
    assert [record.getMessage() for record in caplog.records] == [
        f"cold.silver_trades: compact failed: {cause}"
    ]
    assert caplog.records[0].exc_info is None
