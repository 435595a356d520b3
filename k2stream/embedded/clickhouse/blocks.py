"""Blocks of the native protocol, which pass through undecoded, and their compressed frames."""

import struct
from typing import NamedTuple

import lz4.block
import zstandard
from clickhouse_cityhash.cityhash import CityHash128

from k2stream.embedded.clickhouse.reader import MAX_BLOCK, BytesReader, MalformedError
from k2stream.embedded.clickhouse.types import UnsupportedTypeError, parse_type, skip_prefix, skip_values

BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"  # 1: not overflows, 2: bucket -1, end
EMPTY = b"\x00\x00"
FRAME = 1 << 20  # uncompressed bytes per frame written
NONE, LZ4, ZSTD = 0x02, 0x82, 0x90

Columns = list[tuple[str, str]]  # (name, type)


class Block(NamedTuple):
    columns: Columns
    rows: int
    raw: bytes  # encoded in FORMAT Native


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def string(value: str | bytes) -> bytes:
    data = value if isinstance(value, bytes) else value.encode()
    return varint(len(data)) + data


def header(columns: Columns) -> bytes:
    """A block without rows, from which clients read column names and types."""
    return varint(len(columns)) + b"\x00" + b"".join(string(name) + string(kind) for name, kind in columns)


async def skip_block_info(reader: BytesReader) -> None:
    while field := await reader.varint():
        if field > 2:
            raise MalformedError(f"block info field {field}")
        await reader.skip(1 if field == 1 else 4)


async def read_block(reader: BytesReader) -> Block:
    """Read one block of FORMAT Native. Raises EOFError, MalformedError."""
    reader.compact()
    width, rows = await reader.varint(), await reader.varint()
    columns = []
    for _ in range(width):
        name, kind = await reader.string(), await reader.string()
        columns.append((name, kind))
        try:
            parsed = parse_type(kind)
        except UnsupportedTypeError as error:  # its end, and thus the next packet, cannot be found
            raise MalformedError(str(error)) from error
        if rows:
            await skip_prefix(reader, parsed)
            await skip_values(reader, parsed, rows)
    return Block(columns, rows, reader.take())


def compress(data: bytes) -> bytes:
    """Encode as LZ4 frames: checksum, method, compressed size (including this 9-byte header), size, body."""
    frames = []
    for start in range(0, len(data), FRAME):
        part = data[start : start + FRAME]
        body = lz4.block.compress(part, store_size=False)
        frame = struct.pack("<BII", LZ4, len(body) + 9, len(part)) + body
        frames += [_checksum(frame), frame]
    return b"".join(frames)


async def read_frame(reader: BytesReader) -> bytes:
    """Read and decompress one frame. Raises EOFError, MalformedError."""
    reader.compact()
    checksum, head = await reader.read(16), await reader.read(9)
    method, compressed, size = struct.unpack("<BII", head)
    if not 9 <= compressed <= MAX_BLOCK or not 0 < size <= MAX_BLOCK:
        raise MalformedError(f"a compressed frame of {compressed} bytes, {size} uncompressed")
    body = await reader.read(compressed - 9)
    if _checksum(head + body) != checksum:
        raise MalformedError("the checksum of a compressed frame does not match")
    try:
        return _decompress(method, body, size)
    except (lz4.block.LZ4BlockError, zstandard.ZstdError) as error:
        raise MalformedError(f"a compressed frame: {error}") from error


def _decompress(method: int, body: bytes, size: int) -> bytes:
    if method == LZ4:
        data: bytes = lz4.block.decompress(body, uncompressed_size=size)
        return data
    if method == ZSTD:
        return zstandard.ZstdDecompressor().decompress(body, max_output_size=size)
    if method == NONE:
        return body
    raise MalformedError(f"compression method {method:#x}")


def _checksum(frame: bytes) -> bytes:
    value = CityHash128(frame)
    return struct.pack("<QQ", value >> 64, value & 0xFFFFFFFFFFFFFFFF)
