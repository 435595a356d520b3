"""ClickHouse and Iceberg as a source: no worker has to run, and Iceberg alone is enough."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import pyarrow as pa

from k2stream import instruments
from k2stream.clickhouse.candles import HotTier
from k2stream.clickhouse.trades import Checksum, HotTrades
from k2stream.history.derive import base_span, derived, largest_limit
from k2stream.history.reader import MissingTier, candle_history
from k2stream.history.tiers import CandleSpan
from k2stream.history.timeframes import Timeframe
from k2stream.iceberg.candles import ColdTier
from k2stream.iceberg.trades import ColdTrades
from k2stream.layers.candle_rows import candle_rows
from k2stream.layers.schema import SILVER
from k2stream.model import clock
from k2stream.model.errors import ConfigError, Unavailable
from k2stream.model.instrument import Instrument, Instruments
from k2stream.read.columns import HEALTH
from k2stream.read.merge import day_of, slices
from k2stream.read.source import RowPage
from k2stream.read.tiers import RowHistory
from k2stream.settings import IcebergSettings, Settings

PAGE_SIZE = 50_000
"""Candles at a time: about a month of minutes."""

logging.getLogger("k2stream").addHandler(logging.NullHandler())  # the tables say which tiers are missing


class Lake:
    """Both stores, or Iceberg alone, behind the settings' addresses."""

    def __init__(self, settings: Settings, clickhouse: bool) -> None:
        self._settings = settings
        self._alone = not clickhouse
        cold = ColdTier(settings.iceberg)
        tiers = (HotTier(settings.clickhouse), cold) if clickhouse else (cold,)
        self._history = candle_history(settings.candles, *tiers)
        self._rows = RowHistory(tiers, settings.candles.grace_ms)
        self.where = "ClickHouse and Iceberg" if clickhouse else "Iceberg"
        self.simulated = True if settings.feeds.simulated else None

    def instruments(self) -> Instruments:
        """Those of the instruments file."""
        return instruments.load(self._settings.feeds.instruments_file)

    def page_size(self, timeframe: Timeframe) -> int:
        """PAGE_SIZE, or fewer of a timeframe that is folded from more parts than an answer may have."""
        return max(1, min(PAGE_SIZE, largest_limit(timeframe)))

    def candles(
        self, instrument: Instrument, timeframe: Timeframe, span: CandleSpan, health: bool
    ) -> RowPage:
        """Candles, folded from the stored ones if need be. Raises Unavailable if there is neither store."""
        if timeframe.is_stored:
            rows, missing = self._rows.read(instrument, timeframe.name, span)
        else:
            rows, missing = self._folded(instrument, timeframe, span)
        if not exists(self._settings.iceberg) and (self._alone or missing):
            raise no_lake(self._settings)
        return RowPage(rows.append_column(HEALTH, pa.nulls(len(rows), HEALTH.type)), missing)

    def trades(self, instrument: Instrument, start: int, end: int | None) -> Iterator[RowPage]:
        """Trades day by day (UTC). Raises Unavailable if there is neither store, or one fails on the way."""
        hot, missing, days = self._hot(instrument)
        if hot is None and not exists(self._settings.iceberg):
            raise no_lake(self._settings)
        with _failing(ColdTrades.name):
            cold = ColdTrades(self._settings.iceberg)
            days |= set(cold.days(instrument))
        yield RowPage(SILVER.empty_table(), missing)
        named = hot and _NamedHot(hot), _Named(cold)
        for first, last in slices(days, start, end):
            yield RowPage(day_of(*named, instrument, first, last), missing)

    def _hot(self, instrument: Instrument) -> tuple[HotTrades | None, tuple[MissingTier, ...], set[date]]:
        if self._alone:
            return None, (), set()
        hot = HotTrades(self._settings.clickhouse)
        try:
            return hot, (), set(hot.days(instrument))
        except Exception as error:  # any error of its client: Iceberg still answers
            return None, (MissingTier(hot.name, _line(error)),), set()

    def _folded(
        self, instrument: Instrument, timeframe: Timeframe, span: CandleSpan
    ) -> tuple[pa.Table, tuple[MissingTier, ...]]:
        found = self._history.read(instrument, timeframe.base, base_span(timeframe, span))
        now, settled = clock.now_us() // 1000, self._settings.candles.settled_ms
        return candle_rows(derived(timeframe, span, found.candles, now, settled)), found.missing


@contextmanager
def _failing(name: str) -> Iterator[None]:
    """Raises Unavailable with the name of a store for any error of its client."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        raise Unavailable(f"{name} failed while it was read: {_line(error)}") from None


class _Named:
    """A store whose failures say whose they are."""

    def __init__(self, store: HotTrades | ColdTrades) -> None:
        self._store = store

    def rows(self, instrument: Instrument, start: int, end: int) -> pa.Table:
        with _failing(self._store.name):
            return self._store.rows(instrument, start, end)


class _NamedHot(_Named):
    def __init__(self, store: HotTrades) -> None:
        super().__init__(store)
        self._hot = store

    def checksum(self, instrument: Instrument, start: int, end: int) -> Checksum:
        with _failing(self._hot.name):
            return self._hot.checksum(instrument, start, end)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def exists(settings: IcebergSettings) -> bool:
    """Whether there is a catalog, or one is named."""
    return bool(settings.catalog_uri) or (settings.data_path / "iceberg" / "catalog.db").exists()


def no_lake(settings: Settings) -> ConfigError | Unavailable:
    """The error that says where nothing was found, and what to set."""
    return Unavailable(
        f"there is no Iceberg catalog in {settings.iceberg.data_path}, and no ClickHouse at "
        f"{settings.clickhouse.host}:{settings.clickhouse.port}: start a platform with `k2 up`, "
        "set K2_DATA_DIR or K2_ICEBERG_CATALOG_URI, or give url="
    )
