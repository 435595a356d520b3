"""Holds a certificate to the stored candle that it is of (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from k2stream.model.candle import Candle
from k2stream.model.certificate import Certificate
from k2stream.reconcile.certificates.check import CertificateFault, Wrong

_SAME = ("open", "high", "low", "close", "volume", "quote_volume")
_WHOLE = ("trade_count", "first_trade_time", "last_trade_time", "raw_partition", "raw_offset")


def of_candle(of: Certificate, candle: Candle | None) -> Iterator[CertificateFault]:
    """How a certificate and the stored candle differ."""
    if candle is None:
        yield CertificateFault(Wrong.CANDLE, "ClickHouse does not have the candle")
        return
    if candle.revision != of.revision:
        text = f"the stored candle is revision {candle.revision}, the certificate is of {of.revision}"
        yield CertificateFault(Wrong.REVISION, text)
        return
    for name in (*_SAME, *_WHOLE):
        stored, said = getattr(candle, name), getattr(of, name)
        if stored != (Decimal(said) if name in _SAME else said):
            shown = f"{stored.normalize():f}" if isinstance(stored, Decimal) else stored
            text = f"the stored candle has {name} {shown}, the certificate {said}"
            yield CertificateFault(Wrong.FIELD, text)
