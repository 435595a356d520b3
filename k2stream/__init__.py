"""K2 stream: exact crypto trades and candles, from exchange sockets to ClickHouse and Iceberg, on Faust.

`read_candles`, `read_trades` and `scan_trades` are for notebooks; they need k2stream[read].
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from k2stream.read.candles import read_candles as read_candles
    from k2stream.read.trades import read_trades as read_trades
    from k2stream.read.trades import scan_trades as scan_trades

__all__ = ["read_candles", "read_trades", "scan_trades"]

_MODULES = {
    "read_candles": "k2stream.read.candles",
    "read_trades": "k2stream.read.trades",
    "scan_trades": "k2stream.read.trades",
}


def __getattr__(name: str) -> Any:
    """Import what notebooks use on its first use: `import k2stream` itself imports no library."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from k2stream import extras

    try:
        return getattr(import_module(_MODULES[name]), name)
    except ModuleNotFoundError as error:
        raise extras.missing(f"k2stream.{name}", error, "read") from None
