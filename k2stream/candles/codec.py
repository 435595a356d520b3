"""Binary encoding of the candle tables' values in their changelogs."""

from __future__ import annotations

import struct
from typing import NamedTuple

from k2stream.candles.state import State

# Version, order keys, counters and positions; length-prefixed big-endian integers follow.
_STATE = struct.Struct(">B6q3qiq?")
_PROGRESS = struct.Struct(">Bqq")
_VERSION = 1


class KeyProgress(NamedTuple):
    """How far a key is applied: the last raw offset, and the newest event time (`event_time`) in µs."""

    raw_offset: int
    newest: int


def dumps_state(state: State) -> bytes:
    """Encode a window's state, in 130 to 250 bytes."""
    parts = [
        _STATE.pack(
            _VERSION,
            *state.open_at,
            *state.close_at,
            state.trade_count,
            state.records,
            state.receive_time,
            state.raw_partition,
            state.raw_offset,
            state.final,
        )
    ]
    for value in (
        state.open,
        state.high,
        state.low,
        state.close,
        state.volume,
        state.quote,
        state.taker_buy_volume,
        state.taker_buy_quote,
    ):
        size = (value.bit_length() + 7) // 8
        parts.append(size.to_bytes(1, "big"))
        parts.append(value.to_bytes(size, "big"))
    return b"".join(parts)


def loads_state(data: bytes) -> State:
    """Decode a window's state. Raises ValueError for a layout of another release."""
    version, t0, s0, o0, t1, s1, o1, trades, records, received, partition, offset, final = _STATE.unpack_from(
        data
    )
    _check(version)
    integers = []
    at = _STATE.size
    for _ in range(8):
        end = at + 1 + data[at]
        integers.append(int.from_bytes(data[at + 1 : end], "big"))
        at = end
    open_, high, low, close, volume, quote, taker_volume, taker_quote = integers
    # By position: see state.merge; a table that is recovered decodes each of its windows.
    return State(
        open_,
        high,
        low,
        close,
        (t0, s0, o0),
        (t1, s1, o1),
        volume,
        quote,
        taker_volume,
        taker_quote,
        trades,
        records,
        received,
        partition,
        offset,
        final,
    )


def dumps_progress(progress: KeyProgress) -> bytes:
    """Encode a key's progress, in 17 bytes."""
    return _PROGRESS.pack(_VERSION, *progress)


def loads_progress(data: bytes) -> KeyProgress:
    """Decode a key's progress. Raises ValueError for a layout of another release."""
    version, raw_offset, newest = _PROGRESS.unpack(data)
    _check(version)
    return KeyProgress(raw_offset, newest)


def _check(version: int) -> None:
    if version != _VERSION:
        raise ValueError(
            f"candle table entry of layout {version}, this release reads {_VERSION}: "
            "run the release that wrote it, or rebuild the tables from the normalized topic"
        )
