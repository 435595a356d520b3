"""Turns canonical trades back into the columns of the raw records that they were made from. Pure.

What an exchange's own record has beyond them is lost; all seem to be of one connection, NORMALIZED.
"""

from __future__ import annotations

from itertools import pairwise

from k2stream.avro.trades import Trades
from k2stream.exchanges.spec import Exchange
from k2stream.model import decimals
from k2stream.model.trade import BACKFILLED, TradeColumns

NORMALIZED = "normalized"


def columns(exchange: Exchange, trades: Trades) -> TradeColumns:
    """The columns that `exchange.normalize` gives for records of these trades, all of the exchange."""
    conditions = trades.trade_conditions.tolist()
    numberings = {text: name for name, text in exchange.conditions.items()}
    numbering = [next((numberings[text] for text in found if text in numberings), "") for found in conditions]
    fetched = ["fetched" if BACKFILLED in found else "" for found in conditions]
    vendor, sequence = _vendor_data(trades), trades.sequence.tolist()
    shape = exchange.normalize([])
    names = dict.fromkeys([*shape.vendor_data, *(name for found in vendor for name in found)])
    aggregated = any(numbering)
    first, last = (
        [int(found.get(name) or own) for found, own in zip(vendor, sequence, strict=True)]
        if aggregated
        else []
        for name in exchange.covered or ("", "")
    )
    return TradeColumns(
        exchange=exchange.name,
        symbol=trades.symbol.tolist(),
        trade_id=trades.trade_id.tolist(),
        timestamp=trades.timestamp.tolist(),
        receive_time=trades.receive_time.tolist(),
        price=decimals.to_strings(decimals.from_fixed16(trades.price)),
        quantity=decimals.to_strings(decimals.from_fixed16(trades.quantity)),
        taker_buy=trades.taker_buy.tolist(),
        sequence=sequence,
        trade_count=trades.trade_count.tolist(),
        vendor_data={name: [found.get(name, "") for found in vendor] for name in names},
        numbering=numbering if aggregated else [],
        first=first,
        last=last,
        backfilled=fetched if any(fetched) else [],
        link=[NORMALIZED] * len(trades),
        likeness=shape.likeness,
    )


def _vendor_data(trades: Trades) -> list[dict[str, str]]:
    names, values = trades.vendor_keys.tolist(), trades.vendor_values.tolist()
    spans = pairwise(trades.vendor_offsets.tolist())
    return [dict(zip(names[begin:end], values[begin:end], strict=True)) for begin, end in spans]
