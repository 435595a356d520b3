"""The canonical trade with fastavro, a record at a time, for the Python peers (no schema registry)."""

from __future__ import annotations

import io
import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro

SCHEMA = fastavro.parse_schema(
    json.loads((Path(__file__).parents[2] / "schemas" / "avro" / "trade.avsc").read_text())
)
_HEADER = b"\0\0\0\0\1"
_QUOTES = ("FDUSD", "USDT", "USDC", "BTC", "ETH", "BNB", "EUR")


def encode(trade: dict[str, Any]) -> bytes:
    """A record in the Confluent wire format."""
    out = io.BytesIO()
    out.write(_HEADER)
    fastavro.schemaless_writer(out, SCHEMA, trade)
    return out.getvalue()


def decode(value: bytes) -> dict[str, Any]:
    """Its fields; decimals as Decimal, times as datetime."""
    record = fastavro.schemaless_reader(io.BytesIO(value[len(_HEADER) :]), SCHEMA, None)
    assert isinstance(record, dict)
    return record


def canonical(trade: dict[str, Any], partition: int, offset: int) -> dict[str, Any]:
    """A raw Binance trade as a canonical record. Less than K2 does: no deduplication, no dead letters."""
    symbol = trade["s"]
    quote = next(quote for quote in _QUOTES if symbol.endswith(quote))
    return {
        "timestamp": trade["T"] * 1000,
        "receive_time": trade["k2_recv"],
        "price": Decimal(trade["p"]),
        "quantity": Decimal(trade["q"]),
        "side": "SELL" if trade["m"] else "BUY",
        "raw_offset": offset,
        "sequence": trade["t"],
        "raw_partition": partition,
        "trade_count": 1,
        "exchange": "binance",
        "symbol": symbol,
        "canonical_symbol": f"{symbol.removesuffix(quote)}/{quote}",
        "trade_id": str(trade["t"]),
        "process_time": time.time_ns() // 1000,
        "vendor_data": {"E": str(trade["E"])},
        "trade_conditions": [],
        "validation_errors": [],
    }


def key(trade: dict[str, Any]) -> bytes:
    """The key of a canonical record."""
    return f"binance:{trade['canonical_symbol']}".encode()
