"""Binance US, as the oracle reads it: as Binance, with quote assets of its own."""

from __future__ import annotations

from dataclasses import replace

from k2stream.reconcile.oracle.venues import binance

VENUE = replace(
    binance.VENUE,
    spelling=r"replaceRegexpOne(symbol, '^(.+?)(USDT|USDC|USD|BTC|ETH|BNB)$', '\\1/\\2')",
)
