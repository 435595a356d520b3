"""The hot worker: writes bronze, silver, gold and certificates to ClickHouse."""

from k2stream.agents import bronze, certificates, gold, silver
from k2stream.app import create_app

__all__ = ["app", "bronze", "certificates", "gold", "silver"]

app = create_app("hot")
