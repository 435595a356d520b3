"""Records of one partition, by column."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Columns:
    """Keys, values and Kafka timestamps (ms since 1970) of records, in order."""

    keys: list[bytes] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)

    def append(self, key: bytes, value: bytes, timestamp_us: int) -> None:
        """Add one record, with its timestamp in µs since 1970."""
        self.keys.append(key)
        self.values.append(value)
        self.timestamps.append(timestamp_us // 1000)
