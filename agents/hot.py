"""The hot worker: writes bronze, silver, gold and what was found about them to ClickHouse."""

from k2stream.agents import bronze, certificates, gold, kline_checks, silver
from k2stream.app import create_app

__all__ = ["app", "bronze", "certificates", "gold", "kline_checks", "silver"]

app = create_app("hot")
