"""Trading parameters of simulated symbols (price, tick, lot), and how exchanges format decimals."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

from k2stream.model.instrument import Instrument


@dataclass(frozen=True, slots=True)
class Asset:
    """Initial price in ticks of 10**-price_digits, and typical quantity in lots of 10**-lot_digits."""

    ticks: int
    price_digits: int
    lots: int
    lot_digits: int


_ASSETS = {
    "BTC": Asset(83_285_12, 2, 400, 5),
    "ETH": Asset(2_914_37, 2, 2500, 4),
    "BNB": Asset(612_40, 2, 900, 3),
    "SOL": Asset(141_83, 2, 4200, 3),
    "XRP": Asset(2_1874, 4, 3100, 1),
    "ADA": Asset(7213, 4, 5200, 1),
    "DOGE": Asset(17395, 5, 900, 0),
    "AVAX": Asset(21_47, 2, 950, 2),
    "DOT": Asset(4_213, 3, 700, 2),
    "LINK": Asset(14_63, 2, 1100, 2),
    "LTC": Asset(89_12, 2, 800, 3),
    "TRX": Asset(2437, 4, 2600, 0),
    "ATOM": Asset(4_562, 3, 650, 2),
}


@dataclass(frozen=True, slots=True)
class Style:
    """How an exchange formats decimals: number of fraction digits, 0 for as many as needed."""

    price_digits: int = 0
    quantity_digits: int = 0
    lot_digits: int = 0
    """Minimum fraction digits of a lot."""


def asset_of(instrument: Instrument, lot_digits: int) -> Asset:
    """The asset of an instrument's base currency; the price of an unlisted one is derived from its name.

    Lots have at least `lot_digits` fraction digits.
    """
    base = instrument.canonical.partition("/")[0]
    known = _ASSETS.get(base) or Asset(1000 + crc32(base.encode()) % 100_000, 3, 500, 2)
    finer = max(0, lot_digits - known.lot_digits)
    return Asset(known.ticks, known.price_digits, known.lots * 10**finer, known.lot_digits + finer)


def decimal(mantissa: int, digits: int, shown: int) -> str:
    """Format mantissa / 10**digits with `shown` fraction digits or, for 0, without trailing zeros."""
    text = f"{mantissa:0{digits + 1}d}"
    whole, fraction = text[: len(text) - digits], text[len(text) - digits :]
    if shown:
        return f"{whole}.{fraction:0<{shown}}"
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole
