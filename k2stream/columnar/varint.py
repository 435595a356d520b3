"""Encodes and decodes Avro's integers (zigzag, base 128) by column."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FIRST_8_BYTE, END_8_BYTE = 2**48, 2**55
"""Values in [first, end) take exactly 8 bytes: as µs since 1970, the years 1978 to 3111."""

_MORE = np.uint64(0x0080808080808080)  # the continuation bits of 8 bytes, little-endian
_BITS = tuple(
    (np.uint64(low), np.uint64(high), np.uint64(shift))
    for low, high, shift in (
        (0x000000000FFFFFFF, 0x00FFFFFFF0000000, 4),
        (0x00003FFF00003FFF, 0x0FFFC0000FFFC000, 2),
        (0x007F007F007F007F, 0x3F803F803F803F80, 1),
    )
)


def pack_one(value: int) -> bytes:
    """Encode one integer."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def pack(values: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Encode integers as (n, widest) bytes, with the number of valid bytes in each row."""
    rest = ((values << 1) ^ (values >> 63)).view(np.uint64)
    widest = len(pack_one(int(rest.max()) >> 1)) if len(rest) else 1
    out = np.empty((len(values), widest), np.uint8)
    widths = np.ones(len(values), np.int64)
    for index in range(widest):
        left = rest >> np.uint64(7)
        more = left != 0
        out[:, index] = (rest & np.uint64(0x7F)).astype(np.uint8) | (more.view(np.uint8) << np.uint8(7))
        widths += more
        rest = left
    return out, widths


def pack8(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Encode values in [FIRST_8_BYTE, END_8_BYTE) as (n, 8) bytes."""
    bits = values.astype(np.uint64) << np.uint64(1)
    for low, high, shift in _BITS:
        bits = (bits & low) | ((bits & high) << shift)
    return (bits | _MORE).astype("<u8").view(np.uint8).reshape(-1, 8)


def unpack8(rows: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Decode (n, 8) bytes; also returns which rows are 8-byte integers."""
    words = np.ascontiguousarray(rows).view("<u8").ravel()
    fits = (words & np.uint64(0x8080808080808080)) == _MORE
    bits = words & ~_MORE
    for low, high, shift in reversed(_BITS):
        bits = (bits & low) | ((bits >> shift) & high)
    return _unzigzag(bits), fits


def unpack(data: NDArray[np.uint8], at: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Decode the integers that start at `at`, and return their ends; `data` must extend 10 bytes further."""
    byte = data[at]
    bits = (byte & 0x7F).astype(np.uint64)
    for index in range(1, 10):
        more = byte >= 0x80
        if not more.any():
            break
        at = at + more
        byte = np.where(more, data[at], 0)
        bits |= (byte & 0x7F).astype(np.uint64) << np.uint64(7 * index)
    return _unzigzag(bits), at + 1


def _unzigzag(bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    halves: NDArray[np.int64] = (bits >> np.uint64(1)).view(np.int64)
    return halves ^ -(bits & np.uint64(1)).view(np.int64)
