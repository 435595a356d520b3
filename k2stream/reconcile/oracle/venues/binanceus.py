"""The oracle's rules for Binance US: as Binance, with its own quote assets."""

from __future__ import annotations

from dataclasses import replace

from k2stream.reconcile.oracle.venues import binance

VENUE = replace(
    binance.VENUE,
    spelling=r"replaceRegexpOne(symbol, '^(.+?)(USDT|USDC|USD|BTC|ETH|BNB)$', '\\1/\\2')",
)
