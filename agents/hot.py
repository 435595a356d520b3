"""The hot worker: writes bronze, silver and gold to ClickHouse."""

from k2stream.agents import bronze, gold, silver
from k2stream.app import create_app

__all__ = ["app", "bronze", "gold", "silver"]

app = create_app("hot")
