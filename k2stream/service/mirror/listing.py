"""`exchangeInfo`: the symbols of an exchange as the mirrored API lists them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from k2stream.model.instrument import Instrument
from k2stream.service.mirror.values import DIGITS, name
from k2stream.service.mirror.weights import LIMIT

_RATE_LIMITS = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": LIMIT}]


def listing(instruments: Iterable[Instrument], now_ms: int) -> dict[str, Any]:
    """The document of `exchangeInfo`. Orders are impossible here; tick and lot sizes are unknown."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": _RATE_LIMITS,
        "exchangeFilters": [],
        "symbols": [_symbol(item) for item in instruments],
    }


def _symbol(instrument: Instrument) -> dict[str, Any]:
    base, _, quote = instrument.canonical.partition("/")
    return {
        "symbol": name(instrument),
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": DIGITS,
        "quoteAsset": quote,
        "quotePrecision": DIGITS,
        "quoteAssetPrecision": DIGITS,
        "baseCommissionPrecision": DIGITS,
        "quoteCommissionPrecision": DIGITS,
        "orderTypes": [],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": False,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }
