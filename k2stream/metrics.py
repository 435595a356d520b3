"""All Prometheus metrics."""

import numpy as np
from numpy.typing import NDArray
from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from k2stream.histogram import ColumnHistogram
from k2stream.rolling import RollingHistogram

# 1 ms to 30 s, each bound 12 % above the previous one: fine enough to read a p99 from.
LATENCY_BUCKETS = tuple(round(0.001 * 1.12**i, 6) for i in range(92))

FRAMES = Counter("k2_frames", "Frames received from the exchange.", ["exchange", "kind"])
RAW_TRADES = Counter("k2_raw_trades", "Trades published to the raw topic.", ["exchange"])
CONNECTED = Gauge("k2_connected", "1 while the exchange has confirmed all subscriptions.", ["exchange"])
SUBSCRIPTION = Gauge(
    "k2_subscription", "1 for the state a symbol's subscription is in: asked, confirmed, refused, withdrawn.",
    ["exchange", "symbol", "state"],
)  # fmt: skip
RECONNECTS = Counter("k2_reconnects", "Connections lost and opened again.", ["exchange"])
EXCHANGE_ERRORS = Counter("k2_exchange_errors", "Error frames sent by the exchange.", ["exchange"])
EVENT_LAG = Gauge("k2_event_lag_seconds", "Receive time minus trade time of the newest trade.", ["exchange"])
LAST_TRADE = Gauge(
    "k2_last_trade_timestamp_seconds",
    "The exchange's time of the newest trade.",
    ["exchange", "symbol"],
)
LAST_PRICE = Gauge("k2_last_price", "Price of the newest trade, for display only.", ["exchange", "symbol"])
PRICE_DIGITS = Gauge(
    "k2_price_digits",
    "The most fraction digits of its newest prices, to show all with as many.",
    ["exchange", "symbol"],
)
LAST_FRAME = Gauge("k2_last_frame_timestamp_seconds", "Time of the newest frame.", ["exchange"])

NORMALIZED_TRADES = Counter("k2_normalized_trades", "Trades published to the normalized topic.", ["exchange"])
REJECTED = Counter("k2_rejected", "Frames and trades sent to the dead-letter topic.", ["exchange", "stage"])
DUPLICATES = Counter(
    "k2_duplicates", "Trades dropped because the exchange had sent their id before.", ["exchange"]
)
REPLAYED = Counter("k2_replayed", "Records skipped because a replay had brought them before.", ["role"])
GAPS = Counter("k2_gap_trades", "Trades known to be missing, by their ids.", ["exchange"])
BACKFILLED = Counter("k2_backfilled_trades", "Missed trades fetched and published.", ["exchange"])
GAP_FILL_FAILURES = Counter("k2_gap_fill_failures", "Failed attempts to fetch trades, retried.", ["exchange"])

CANDLE_UPDATES = Counter("k2_candle_updates", "Candle revisions published.", ["timeframe"])
CANDLES_FINAL = Counter("k2_candles_final", "Final candles published.", ["timeframe"])
LATE_TRADES = Counter("k2_late_trades", "Trades past the grace, kept on the late topic.", ["exchange"])
TRADES_AHEAD = Counter(
    "k2_trades_ahead",
    "Trades dated over a second after their receipt: many suggest that the local clock is behind.",
    ["exchange"],
)
CERTIFICATES = Counter(
    "k2_certificates", "Certificates issued; incomplete ones have no digest.", ["timeframe", "state"]
)
OPEN_WINDOWS = Gauge("k2_open_windows", "Windows not yet final.", ["timeframe"])

KLINE_CHECKS = Counter(
    "k2_kline_checks",
    "Final candles compared with the exchange's own kline; status: equal, different, not_comparable.",
    ["exchange", "timeframe", "status"],
)
KLINE_CHECKS_PENDING = Gauge(
    "k2_kline_checks_pending", "Final candles that wait for their comparison.", ["exchange"]
)
KLINE_CHECKS_BEHIND = Gauge(
    "k2_kline_checks_behind_seconds",
    "How long the comparison of the first of them has been due.",
    ["exchange"],
)
KLINE_REQUESTS = Counter("k2_kline_requests", "Requests for klines.", ["exchange"])
KLINE_REQUEST_FAILURES = Counter(
    "k2_kline_request_failures", "Requests for klines that failed.", ["exchange"]
)

SINK_ROWS = Counter("k2_sink_rows", "Rows made durable by a sink.", ["table"])
SINK_ERRORS = Counter("k2_sink_errors", "Failed writes of a sink, retried.", ["table"])
SINK_REFILLS = Counter(
    "k2_sink_refills", "Partitions read again because the destination had gone back.", ["table"]
)
SINK_SKIPPED = Counter("k2_sink_skipped", "Records that a sink could not read.", ["table"])
SINK_WRITTEN = Gauge(
    "k2_sink_written_timestamp_seconds", "When rows of a topic last became durable.", ["table", "topic"]
)
SINK_FLUSH = Histogram(
    "k2_sink_flush_seconds", "Time of one durable write.", ["table"], buckets=LATENCY_BUCKETS
)

COLD_COMMITS = Counter("k2_cold_commits", "Commits of rows to a cold table.", ["table"])
COLD_FILES = Gauge("k2_cold_files", "Data files of a cold table, as of its last commit.", ["table"])
COLD_MAINTENANCE = Gauge(
    "k2_cold_maintenance_ok", "1 when a cold table's step of the last daily maintenance succeeded, else 0; "
    "0 for an audit that found rows missing.", ["table", "step"],
)  # fmt: skip
COLD_MAINTAINED = Gauge("k2_cold_maintenance_timestamp_seconds", "When the last daily maintenance ended.")

HTTP_REQUESTS = Counter("k2_http_requests", "Requests that the service answered.", ["route", "status"])
HTTP_SECONDS = Histogram(
    "k2_http_seconds", "Time from a request to the end of its answer.", ["route"],
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5),
)  # fmt: skip

REFUSED = Gauge("k2_state_refused", "1 of a worker that has refused its state and waits to end.", ["app"])
EXPIRED = Counter(
    "k2_expired_stretches", "Ranges of offsets that expired before a worker had read them.", ["topic"]
)
BATCHES = Counter("k2_batches", "Batches of a topic that a worker was given.", ["topic"])
RECORDS = Counter("k2_records", "Records of a topic that a worker was given, replayed ones too.", ["topic"])
COMMITTED = Gauge(
    "k2_commit_timestamp_seconds", "When a worker last committed an offset of a topic.", ["topic"]
)
STALLED = Gauge(
    "k2_stalled_seconds", "How long a partition with lag has made no progress, longest by topic.", ["topic"]
)

CONSUMER_LAG = Gauge("k2_consumer_lag", "Records of a topic that a worker has yet to acknowledge.", ["topic"])
TABLE_KEYS = Gauge("k2_table_keys", "Keys of a table that a worker holds.", ["table"])
RECOVERY_LEFT = Gauge(
    "k2_recovery_records", "Changelog records that a worker has yet to read before its tables are recovered."
)
READY = Gauge("k2_ready", "1 while a worker has its partitions and its tables are recovered.")
DISK_FREE = Gauge("k2_disk_free_bytes", "Free bytes below the data folder.")

LATENCY = ColumnHistogram(
    "k2_latency_seconds",
    "From the socket to: normalized topic, candle table, silver; from the newest trade's time to: gold (1m).",
    "to",
    LATENCY_BUCKETS,
)
LATENCY_NOW = RollingHistogram(
    "k2_latency_last_minute_seconds", "As k2_latency_seconds, of the last minute only.", "to", LATENCY_BUCKETS
)
RECEIVE_LAG = ColumnHistogram(
    "k2_receive_lag_seconds",
    "Receive time minus trade time of each trade that a feed brought; fetched ones do not count.",
    "exchange",
    LATENCY_BUCKETS,
)
REGISTRY.register(RECEIVE_LAG)
REGISTRY.register(LATENCY)
REGISTRY.register(LATENCY_NOW)


def observe_latency(to: str, seconds: NDArray[np.float64]) -> None:
    """Record the latency of each trade of a batch, in both the total and the last-minute histogram."""
    LATENCY_NOW.add(to, LATENCY.observe(to, seconds))
