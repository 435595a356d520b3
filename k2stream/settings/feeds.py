"""Settings of the exchanges' feeds."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import field

from k2stream.exchanges import REGISTRY
from k2stream.resources import CONFIG
from k2stream.settings.kinds import HttpUrl, Positive, Seconds, SecondsOrZero, Section, WsUrl, micros

_WS_URLS = {name: exchange.ws_url for name, exchange in REGISTRY.items()}
_REST_URLS = {name: exchange.rest_url for name, exchange in REGISTRY.items()}
_KLINES_URLS = dict.fromkeys(REGISTRY, "")


class FeedSettings(Section, frozen=True, kw_only=True):
    """Which exchanges are fed from where, and how gaps are filled; durations in seconds, sizes in bytes."""

    exchanges: str = ""  # enabled: NAME,NAME,…, the same in all processes; empty: the default ones
    instruments_file: str = str(CONFIG / "instruments.yaml")
    simulated: bool = False  # the exchanges are simulated: every view and log says so
    silence_seconds: SecondsOrZero = (
        0.0  # reconnect after this long without a frame; 0: the exchange's own limit
    )
    reconnect_base_seconds: Seconds = 1.0
    reconnect_cap_seconds: Seconds = 60.0
    max_frame_bytes: Positive = 16_777_216
    metrics_line_seconds: Seconds = 60.0
    gap_fill: bool = True  # fetch missed trades over REST; with a changed …_WS_URL, only if …_REST_URL is set
    gap_fill_margin_seconds: Seconds = 5.0  # expected lag of REST; without trade ids, margin around outages
    ws_urls: Mapping[str, WsUrl] = field(default_factory=_WS_URLS.copy, name="{exchange}_ws_url")
    rest_urls: Mapping[str, HttpUrl] = field(default_factory=_REST_URLS.copy, name="{exchange}_rest_url")
    klines_urls: Mapping[str, HttpUrl] = field(
        default_factory=_KLINES_URLS.copy, name="{exchange}_klines_url"
    )

    def ws_url(self, exchange: str) -> str:
        """WebSocket URL of an exchange, `K2_<EXCHANGE>_WS_URL`."""
        return self.ws_urls[exchange]

    def rest_url(self, exchange: str) -> str:
        """REST URL from which missed trades of an exchange are fetched, `K2_<EXCHANGE>_REST_URL`.

        Empty when only the WebSocket URL was changed: the exchange's own REST API does not have those trades.
        """
        unknown = self.is_moved(exchange) and self.rest_urls[exchange] == _REST_URLS[exchange]
        return "" if unknown else self.rest_urls[exchange]

    def klines_url(self, exchange: str) -> str:
        """REST URL of an exchange's own candles, `K2_<EXCHANGE>_KLINES_URL`; without it, that of its trades.

        Empty when it is not known, as `rest_url` is.
        """
        klines = REGISTRY[exchange].klines
        own = klines.url if klines and self.rest_urls[exchange] == _REST_URLS[exchange] else ""
        trades = self.rest_url(exchange)
        return self.klines_urls[exchange] or (own if trades and own else trades)

    def is_moved(self, exchange: str) -> bool:
        """Whether the feed comes from another server than the exchange's own."""
        return self.ws_urls[exchange] != _WS_URLS[exchange]

    def fills_gaps(self, exchange: str) -> bool:
        """Whether missed trades of an exchange are fetched automatically."""
        return self.gap_fill and bool(self.rest_url(exchange))

    @property
    def gap_fill_margin_us(self) -> int:
        """`gap_fill_margin_seconds` in µs."""
        return micros(self.gap_fill_margin_seconds)
