"""What a rebuild holds in memory, and in which partition of the tables each of it belongs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from k2stream import topics
from k2stream.candles.codec import KeyProgress
from k2stream.candles.state import State
from k2stream.normalizer import SymbolPosition

Source = tuple[str, int]
"""An exchange and a partition of its raw topic."""

Window = tuple[str, int]
"""(key, open time in ms)"""


class RebuiltWindows:
    """The windows of one timeframe and partition, in memory: a WindowStore."""

    def __init__(self) -> None:
        self.contents: dict[Window, State] = {}

    def get(self, key: str, open_time: int) -> State | None:
        return self.contents.get((key, open_time))

    def put(self, key: str, open_time: int, state: State) -> None:
        self.contents[key, open_time] = state

    def delete(self, key: str, open_time: int) -> None:
        del self.contents[key, open_time]

    def windows(self) -> Iterator[tuple[str, int, State]]:
        return ((key, open_time, state) for (key, open_time), state in self.contents.items())


class Progresses:
    """The progress of a partition's keys, in memory: a ProgressStore."""

    def __init__(self) -> None:
        self.contents: dict[str, KeyProgress] = {}

    def get(self, key: str) -> KeyProgress | None:
        return self.contents.get(key)

    def put(self, key: str, progress: KeyProgress) -> None:
        self.contents[key] = progress


class PlacedState(NamedTuple):
    """The entries of the tables by their partition: of positions, of windows by timeframe, of progress."""

    positions: Mapping[Source, Mapping[str, SymbolPosition]]
    windows: Mapping[int, Mapping[str, Mapping[Window, State]]]
    progress: Mapping[int, Mapping[str, KeyProgress]]


class Places:
    """Where each symbol was read last, and where each raw partition begins."""

    def __init__(self) -> None:
        self._begins: dict[Source, int] = {}
        self._last: dict[tuple[str, str], int] = {}
        self._folded: dict[str, tuple[str, str]] = {}

    def begin(self, source: Source, first: int) -> None:
        """Note the first offset that Kafka retains of a partition."""
        self._begins[source] = first

    def take(self, source: Source, first: int, symbols: Iterable[str]) -> None:
        """Note a batch that begins at offset `first`."""
        self._begins[source] = min(first, self._begins.get(source, first))
        for symbol in symbols:
            self._last[source[0], symbol] = source[1]

    def fold(self, partition: int, symbols: Mapping[str, tuple[str, str]]) -> None:
        """Note a batch of canonical trades: the exchange and native symbol of each of its keys."""
        self._folded |= symbols
        self._last |= dict.fromkeys(symbols.values(), partition)

    def home(self, exchange: str, symbol: str, raw_offset: int, partitions: int) -> int:
        """The partition of a symbol whose last raw offset is given; it may have no record there yet.

        A symbol that moved has all its earlier records below the begin of the partition to which it moved.
        """
        last = self._last[exchange, symbol]
        possible = topics.partitions_of(symbol, partitions)
        moved = last in possible and raw_offset < self._begins.get((exchange, possible[-1]), 0)
        return possible[-1] if moved else last

    def placed(
        self,
        positions: Mapping[str, Mapping[str, SymbolPosition]],
        windows: Mapping[str, RebuiltWindows],
        progress: Progresses,
        canonical: Mapping[str, Callable[[str], str]],
        count_of: Callable[[str], int],
    ) -> PlacedState:
        """Everything by partition; `canonical` and `count_of` are by exchange."""
        of_symbol: defaultdict[Source, dict[str, SymbolPosition]] = defaultdict(dict)
        homes: dict[str, int] = {}
        for exchange, found in positions.items():
            for symbol, position in found.items():
                number = self.home(exchange, symbol, position.raw_offset, count_of(exchange))
                of_symbol[exchange, number][symbol] = position
                homes[f"{exchange}:{canonical[exchange](symbol)}"] = number
        for key, (exchange, symbol) in self._folded.items():
            homes[key] = self.home(exchange, symbol, progress.contents[key].raw_offset, count_of(exchange))
        of_window: defaultdict[int, defaultdict[str, dict[Window, State]]]
        of_window = defaultdict(lambda: defaultdict(dict))
        for timeframe, store in windows.items():
            for window, state in store.contents.items():
                of_window[homes[window[0]]][timeframe][window] = state
        of_key: defaultdict[int, dict[str, KeyProgress]] = defaultdict(dict)
        for key, reached in progress.contents.items():
            of_key[homes[key]][key] = reached
        return PlacedState(of_symbol, of_window, of_key)
