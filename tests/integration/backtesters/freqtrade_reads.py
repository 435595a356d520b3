"""Runs in freqtrade's environment: prints what its data handlers load from a folder, as JSON."""

import json
import sys
from pathlib import Path

from freqtrade.data.history.datahandlers import get_datahandler
from freqtrade.enums import CandleType, TradingMode

folder, form, pair, timeframe = sys.argv[1:]
handler = get_datahandler(Path(folder), form)
candles = handler.ohlcv_load(
    pair, timeframe, candle_type=CandleType.SPOT, fill_missing=False, drop_incomplete=False
)
trades = handler.trades_load(pair, TradingMode.SPOT)
times = (
    candles["date"].astype("int64") * {"ms": 1, "us": 1e-3, "ns": 1e-6}[candles["date"].dt.unit]
).tolist()
found = {
    "candles": [
        [time, *row] for time, row in zip(times, candles.drop(columns="date").values.tolist(), strict=True)
    ],
    "columns": list(candles.columns),
    "trades": trades[["timestamp", "id", "side", "price", "amount", "cost"]].values.tolist(),
    "timeframes": [
        [name, held] for name, held, _ in handler.ohlcv_get_available_data(Path(folder), TradingMode.SPOT)
    ],
}
print(json.dumps(found))
