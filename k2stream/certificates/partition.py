"""One partition's certificates: takes its trades, and certifies candles that are final.

It decides as the fold does which trades are late (candles/watermark.py) and folds nothing: that it found as
many records, up to the same raw offset, is checked for every candle. The stores are written behind; progress
must be flushed after the blocks, as for the candle tables (candles/partition.py).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from k2stream.candles.codec import KeyProgress
from k2stream.candles.partition import ProgressStore
from k2stream.candles.watermark import admit
from k2stream.certificates import digest, minute
from k2stream.certificates.minute import BLOCK_MS, Minute, MinuteBlock, Noted, Taken
from k2stream.certificates.window import WindowTrades, cause, certificate
from k2stream.model.candle import Candle
from k2stream.model.certificate import Certificate, FeedSpan, RevisionCause
from k2stream.model.trade import BACKFILLED, CandleInput

KEPT_MS = 50 * 3_600_000
"""How long minutes are kept: a day's candle, and gaps of the day before, which are filled within a day."""

Lost = Callable[[str, str, int, int], tuple[FeedSpan, ...] | None]
"""The spans in which a feed (exchange, native symbol) lost trades from one time to another, in µs."""


class BlockStore(Protocol):
    """Encoded blocks of five minutes; open times in ms."""

    def get(self, key: str, open_time: int) -> bytes | None: ...
    def put(self, key: str, open_time: int, block: bytes) -> None: ...
    def delete(self, key: str, open_time: int) -> None: ...
    def blocks(self) -> Iterable[tuple[str, int]]: ...


class CertifiedPartition:
    """The certificates of the keys of one partition; `grace` is in µs."""

    def __init__(self, blocks: BlockStore, progress: ProgressStore, grace: int) -> None:
        self._store, self._progress, self._grace = blocks, progress, grace
        self._opens: defaultdict[str, list[int]] = defaultdict(list)
        self._doomed: list[tuple[str, int]] = []
        for key, open_time in blocks.blocks():
            insort(self._opens[key], open_time)

    def reached(self, key: str) -> int:
        """The raw offset up to which the key's trades are taken; -1 for none."""
        progress = self._progress.get(key)
        return progress.raw_offset if progress else -1

    def apply(
        self, trades: CandleInput, conditions: Sequence[Sequence[str]], counted: Mapping[str, bool]
    ) -> None:
        """Take a batch of trades; `counted` says by key whether no id of its exchange may be left out."""
        admission = admit(trades, self._progress.get, self._grace)
        blocks: dict[tuple[str, int], MinuteBlock] = {}
        for row in admission.rows.tolist():
            key = trades.keys[trades.key[row]]
            trade = _taken(trades, row, conditions[row], counted[key])
            opened = trade.timestamp // 1000 // BLOCK_MS * BLOCK_MS
            if (key, opened) not in blocks:
                blocks[key, opened] = self._block(key, opened)
            blocks[key, opened].add(trade)
        for (key, opened), block in blocks.items():
            self._put(key, opened, block)
        for key, progress in admission.progress.items():
            self._progress.put(key, progress)

    def certify(
        self, candle: Candle, time: int, lost: Lost, raw_topic: str, *, counted: bool
    ) -> Certificate | None:
        """The certificate of a final candle that was published at `time` (ms).

        None when a later revision replaces it: one was certified, or its trades are here already.
        """
        key = f"{candle.exchange}:{candle.canonical_symbol}"
        trades = self._trades(key, candle.open_time, candle.close_time)
        opened = candle.open_time // BLOCK_MS * BLOCK_MS
        block = self._block(key, opened)
        noted = block.noted.setdefault(f"{candle.timeframe}:{candle.open_time}", [])
        last = noted[-1].revision if noted else 0
        if trades.records + 1 > candle.revision or last > candle.revision:
            return None
        feed = lost(candle.exchange, candle.symbol, candle.open_time * 1000, candle.close_time * 1000 + 999)
        if last < candle.revision:
            why = cause(trades, noted, feed) if trades.are_of(candle) else RevisionCause.UNKNOWN
            noted.append(Noted(candle.revision, time, why, candle.raw_offset, trades.fetched))
            self._put(key, opened, block)
        return certificate(candle, trades, noted, feed, raw_topic, counted=counted)

    def expire(self) -> None:
        """Drop what is older than KEPT_MS, one call after it became so: no replay can need it by then."""
        for key, open_time in self._doomed:
            self._store.delete(key, open_time)
        self._doomed = []
        for key, opens in self._opens.items():
            progress = self._progress.get(key)
            count = bisect_left(opens, (progress.newest // 1000 if progress else 0) - KEPT_MS)
            self._doomed += [(key, open_time) for open_time in opens[:count]]
            del opens[:count]

    def _trades(self, key: str, first: int, last: int) -> WindowTrades:
        """The trades from one time to another (ms, both included), and the last minute before."""
        opens = self._opens.get(key, [])
        start = bisect_right(opens, first) - 1
        found = [
            each
            for opened in opens[max(start - 1, 0) : bisect_right(opens, last)]
            for each in self._block(key, opened).minutes
        ]
        before: list[Minute] = [each for each in found if each.open_time < first]
        return WindowTrades(
            [m for m in found if first <= m.open_time <= last], before[-1] if before else None
        )

    def _block(self, key: str, opened: int) -> MinuteBlock:
        data = self._store.get(key, opened)
        return MinuteBlock() if data is None else minute.loads(data)

    def _put(self, key: str, opened: int, block: MinuteBlock) -> None:
        opens = self._opens[key]
        at = bisect_left(opens, opened)
        if at == len(opens) or opens[at] != opened:
            opens.insert(at, opened)
        self._store.put(key, opened, minute.dumps(block))


def _taken(trades: CandleInput, row: int, conditions: Sequence[str], counted: bool) -> Taken:
    number, offset = int(trades.raw_partition[row]), int(trades.raw_offset[row])
    trade_id, timestamp = int(trades.sequence[row]), int(trades.timestamp[row])
    weight = int(trades.trade_count[row])
    side = "BUY" if trades.taker_buy[row] else "SELL"
    price, quantity = (digest.plain(int(v.mantissa[row]), v.scale) for v in (trades.price, trades.quantity))
    return Taken(
        timestamp,
        number,
        offset,
        trade_id,
        weight,
        BACKFILLED in conditions,
        ",".join(name for name in conditions if name != BACKFILLED) if counted else None,
        digest.line(number, offset, trade_id, timestamp, price, quantity, side, weight),
    )


__all__ = ["KEPT_MS", "BlockStore", "CertifiedPartition", "KeyProgress", "Lost"]
