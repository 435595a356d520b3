"""Runs in nautilus_trader's environment: prints the bars and ticks of its wranglers, as JSON."""

import json
import sys

from nautilus_trader.model.data import BarType
from nautilus_trader.persistence.loaders import (
    CSVBarDataLoader,
    CSVTickDataLoader,
    ParquetBarDataLoader,
    ParquetTickDataLoader,
)
from nautilus_trader.persistence.wranglers import BarDataWrangler, TradeTickDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider

bars, ticks, form = sys.argv[1:]
instrument = TestInstrumentProvider.btcusdt_binance()
kind = BarType.from_str("BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL")
of_bars, of_ticks = {
    "csv": (CSVBarDataLoader, CSVTickDataLoader),
    "parquet": (ParquetBarDataLoader, ParquetTickDataLoader),
}[form]
found = {
    "bars": [
        [bar.ts_event, *map(str, (bar.open, bar.high, bar.low, bar.close, bar.volume))]
        for bar in BarDataWrangler(kind, instrument).process(of_bars.load(bars))
    ],
    "ticks": [
        [tick.ts_event, str(tick.price), str(tick.size), tick.aggressor_side.name, str(tick.trade_id)]
        for tick in TradeTickDataWrangler(instrument).process(of_ticks.load(ticks))
    ],
}
print(json.dumps(found))
