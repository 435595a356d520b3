"""`k2 inspect`: runs captured frames through parsing, continuity and candle folding, without any server."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec
import numpy as np

from k2stream import exchanges, instruments
from k2stream.candles.fold import fold
from k2stream.candles.state import State, merge, to_candle
from k2stream.candles.watermark import by_key
from k2stream.commands.output import Printer, printed
from k2stream.exchanges.spec import Kind
from k2stream.model import decimals
from k2stream.model.candle import TIMEFRAMES, Candle
from k2stream.model.errors import ConfigError
from k2stream.model.events import EventKind
from k2stream.model.instrument import Instruments
from k2stream.model.trade import CandleInput
from k2stream.normalizer.capture import CapturedBatch, read

Line = dict[str, Any]
"""One line of output, before encoding as JSON."""


def trades(batches: Iterable[CapturedBatch], canonical: Callable[[str], str]) -> Iterator[Line]:
    """Accepted trades in capture order; numbers keep their original digits."""
    for batch in batches:
        columns = batch.columns
        for row in batch.rows:
            yield {
                "exchange": columns.exchange,
                "symbol": columns.symbol[row],
                "canonical_symbol": canonical(columns.symbol[row]),
                "trade_id": columns.trade_id[row],
                "side": "BUY" if columns.taker_buy[row] else "SELL",
                "price": format(Decimal(columns.price[row]), "f"),
                "quantity": format(Decimal(columns.quantity[row]), "f"),
                "timestamp": columns.timestamp[row],
                "vendor_data": {name: data[row] for name, data in columns.vendor_data.items() if data[row]},
            }


def candles(
    batches: Iterable[CapturedBatch], canonical: Callable[[str], str], timeframe: str
) -> Iterator[Line]:
    """Candles of all accepted trades, sorted by symbol and open time; no trade counts as late."""
    windows: dict[tuple[str, int], State] = {}
    native: dict[str, str] = {}
    for batch in batches:
        hot = _hot(batch, canonical)
        native |= {f"{batch.columns.exchange}:{canonical(name)}": name for name in set(batch.columns.symbol)}
        for code, open_time, state in dict(fold(hot, by_key(hot)))[timeframe]:
            window = (hot.keys[code], open_time)
            windows[window] = merge(windows[window], state) if window in windows else state
    for (key, open_time), state in sorted(windows.items(), key=lambda item: item[0]):
        yield _candle_line(to_candle(state, key, native[key], timeframe, open_time))


def _hot(batch: CapturedBatch, canonical: Callable[[str], str]) -> CandleInput:
    columns, rows = batch.columns, np.array(batch.rows, np.int64)
    keys = [f"{columns.exchange}:{canonical(symbol)}" for symbol in columns.symbol]
    code = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    time = np.array(columns.timestamp, np.int64)[rows]
    return CandleInput(
        keys=list(code),
        key=np.array([code[key] for key in keys], np.int64)[rows],
        timestamp=time,
        receive_time=time,
        price=decimals.take(batch.price, rows),
        quantity=decimals.take(batch.quantity, rows),
        taker_buy=np.array(columns.taker_buy, np.bool_)[rows],
        sequence=np.array(columns.sequence, np.int64)[rows],
        raw_partition=np.zeros(len(rows), np.int64),
        raw_offset=batch.first + rows,
        trade_count=np.array(columns.trade_count, np.int64)[rows],
    )


def _candle_line(candle: Candle) -> Line:
    names = ("exchange", "canonical_symbol", "timeframe", "open_time", "close_time", "open", "high", "low")
    more = ("close", "volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume", "trade_count")
    return {name: decimals.shown(getattr(candle, name)) for name in names + more}


def events(batches: Iterable[CapturedBatch]) -> Iterator[Line]:
    """Everything that is not an accepted trade, with its line number."""
    for batch in batches:
        yield from batch.notes


def summary(batches: Iterable[CapturedBatch]) -> Line:
    """Counts over the whole capture: see the command's help."""
    count: Counter[str] = Counter()
    for batch in batches:
        count["frames"] += batch.frames
        count["trades"] += len(batch.rows)
        count.update(note["kind"] for note in batch.notes)
        for note in batch.notes:
            if note["kind"] in (EventKind.GAP, EventKind.LOST_FRAMES):
                count[f"missing by {note['kind']}"] += note["count"]
    return {
        "frames": count["frames"],
        "trades": count["trades"],
        "control": count[Kind.CONTROL],
        "unknown": count[Kind.UNKNOWN],
        "errors": count[Kind.ERROR],
        "rejected": count[Kind.REJECTED],
        "duplicates": count[EventKind.DUPLICATE],
        "gaps": count[EventKind.GAP],
        "missing_trades": count[f"missing by {EventKind.GAP}"],
        "lost_frames": count[f"missing by {EventKind.LOST_FRAMES}"],
    }


@click.command(name="inspect")
@click.option("--exchange", "name", required=True, metavar="NAME", help=", ".join(exchanges.BUILT_IN) + ".")
@click.option(
    "--as",
    "form",
    type=click.Choice(["trades", "candles", "events", "summary"]),
    default="trades",
    show_default=True,
    help="What to print.",
)
@click.option(
    "--timeframe", type=click.Choice(list(TIMEFRAMES)), default="1m", show_default=True, help="Of candles."
)
@click.option("--instruments", "names", metavar="FILE", help="Canonical names; else the exchange's own rule.")
@click.argument("file", metavar="FILE|-")
@printed
def inspect_command(
    name: str, form: str, timeframe: str, names: str | None, file: str, *, out: Printer
) -> None:
    """Read captured frames, one a line, and print JSON lines, with or without --json. Needs no server.

    \b
    trades   accepted trades; side is the taker's, numbers keep their digits, timestamp in µs
    candles  of all trades; times in ms, numbers without exponent and trailing zeros
    events   everything that is no trade, with its line: control, error, unknown, rejected and
             its cause, duplicate, gap with the missing ids, lost_frames
    summary  one object: frames, trades (accepted), control, unknown, errors (frames of each
             kind), rejected (frames, or single trades of a frame), duplicates, gaps (ranges of
             ids that did not come), missing_trades (ids in them), lost_frames
    """
    exchange = exchanges.known(name)
    listed = instruments.load(names, {name}) if names else Instruments()
    canonical = instruments.canonical_of(exchange, listed)
    with _opened(file) as lines:
        batches = read(exchange, lines)
        if form == "trades":
            _print(trades(batches, canonical))
        elif form == "candles":
            _print(candles(batches, canonical, timeframe))
        elif form == "events":
            _print(events(batches))
        else:
            _print([summary(batches)])


def _opened(file: str) -> AbstractContextManager[BinaryIO]:
    if file == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}); give a file of frames, or -") from None


def _print(lines: Iterable[Line]) -> None:
    for line in lines:
        sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()
