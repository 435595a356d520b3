"""Binance US: Binance's protocol."""

from __future__ import annotations

from dataclasses import replace

from k2stream.simulator.protocols import binance


class BinanceUs(binance.Binance):
    """The same, of another name."""

    name = "binanceus"


PROTOCOL = replace(binance.PROTOCOL, dialect=BinanceUs, share=0.2)
