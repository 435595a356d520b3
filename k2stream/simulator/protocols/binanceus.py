"""The protocol of Binance US, which is Binance's."""

from __future__ import annotations

from dataclasses import replace

from k2stream.simulator.protocols import binance


class BinanceUs(binance.Binance):
    """Binance's dialect under another name."""

    name = "binanceus"


PROTOCOL = replace(binance.PROTOCOL, dialect=BinanceUs, share=0.2)
