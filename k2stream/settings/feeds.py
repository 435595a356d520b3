"""Settings of the exchanges' feeds."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import field

from k2stream.exchanges import REGISTRY
from k2stream.resources import CONFIG
from k2stream.settings.kinds import Positive, Seconds, Section, micros

_WS_URLS = {name: exchange.ws_url for name, exchange in REGISTRY.items()}
_REST_URLS = {name: exchange.rest_url for name, exchange in REGISTRY.items()}


class FeedSettings(Section, frozen=True, kw_only=True):
    """What is fed and from where, and what was missed; durations in seconds, sizes in bytes."""

    exchanges: str = ""  # which are on, of all processes alike: NAME,NAME,…; empty: those of this package
    instruments_file: str = str(CONFIG / "instruments.yaml")
    simulated: bool = False  # the feeds are simulated exchanges: say so wherever a person looks
    silence_seconds: float = 0.0  # no frame for so long: reconnect; 0 takes the exchange's own limit
    reconnect_base_seconds: Seconds = 1.0
    reconnect_cap_seconds: Seconds = 60.0
    max_frame_bytes: Positive = 16_777_216
    metrics_line_seconds: Seconds = 60.0
    gap_fill: bool = True  # fetch trades that were missed; for a changed …_WS_URL only beside its …_REST_URL
    gap_fill_margin_seconds: Seconds = 5.0  # REST lags so much; compared around an outage where ids are none
    ws_urls: Mapping[str, str] = field(default_factory=_WS_URLS.copy, name="{exchange}_ws_url")
    rest_urls: Mapping[str, str] = field(default_factory=_REST_URLS.copy, name="{exchange}_rest_url")

    def ws_url(self, exchange: str) -> str:
        """The WebSocket URL of one exchange, `K2_<EXCHANGE>_WS_URL`."""
        return self.ws_urls[exchange]

    def rest_url(self, exchange: str) -> str:
        """Where trades of one exchange that were missed are fetched, `K2_<EXCHANGE>_REST_URL`.

        Empty for a feed from elsewhere whose REST URL is not given: its trades are not the exchange's own.
        """
        unknown = self.is_moved(exchange) and self.rest_urls[exchange] == _REST_URLS[exchange]
        return "" if unknown else self.rest_urls[exchange]

    def is_moved(self, exchange: str) -> bool:
        """Whether the exchange's feed comes from elsewhere than the exchange itself."""
        return self.ws_urls[exchange] != _WS_URLS[exchange]

    def fills_gaps(self, exchange: str) -> bool:
        """Whether trades that an exchange's feed missed are fetched by themselves."""
        return self.gap_fill and bool(self.rest_url(exchange))

    @property
    def gap_fill_margin_us(self) -> int:
        """`gap_fill_margin_seconds` in µs."""
        return micros(self.gap_fill_margin_seconds)
