"""Settings: one readable line for every mistake."""

import ast
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream import settings
from k2stream.exchanges import REGISTRY
from k2stream.model.errors import ConfigError
from k2stream.settings.variables import variables

ROOT = Path(__file__).parents[2]


def test_defaults_need_no_environment():
    assert settings.load({}) == settings.Settings()


def test_values_are_typed():
    read = settings.load({"K2_SIMULATED": "true", "K2_GRACE_SECONDS": "2.5", "K2_WEB_PORT": "6066"})
    assert (read.feeds.simulated, read.candles.grace_seconds, read.worker.web_port) == (True, 2.5, 6066)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("K2_WEB_PORT", "99999", "65535"),
        ("K2_GRACE_SECONDS", "soon", "float"),
        ("K2_GRACE_SECONDS", "0", "> 0"),
        ("K2_KRAKEN_PARTITIONS", "-1", ">= 1"),
        ("K2_KRAKEN_WS", "wss://x", "not a setting"),
        ("K2_KRAKEN_WS_URL", "http://x", "is not a ws:// or wss:// URL"),
        ("K2_KRAKEN_REST_URL", "api.kraken.com", "is not an http:// or https:// URL"),
        ("K2_REGISTRY_URL", "127.0.0.1:8081", "is not an http:// or https:// URL"),
        ("K2_KAFKA_SECURITY_PROTOCOL", "TLS", "one of PLAINTEXT, SSL"),
        ("K2_KAFKA_SASL_MECHANISM", "GSSAPI", "one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
    ],
)
def test_a_mistake_names_the_variable_and_the_reason(name, value, reason):
    with pytest.raises(ConfigError) as error:
        settings.load({name: value})
    assert name in str(error.value)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_child_process_gets_the_same_settings():
    read = settings.load(
        {"K2_SIMULATED": "true", "K2_KRAKEN_WS_URL": "ws://127.0.0.1:1", "K2_COMMIT_SECONDS": "0.5"}
    )
    assert settings.load(settings.environment(read)) == read


def test_each_exchange_has_its_url():
    read = settings.load({"K2_KRAKEN_WS_URL": "ws://127.0.0.1:1"})
    assert read.feeds.ws_url("kraken") == "ws://127.0.0.1:1"
    assert read.feeds.ws_url("binance").startswith("wss://")


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "https://api.kraken.com"),
        ({"K2_GAP_FILL": "false"}, "https://api.kraken.com"),
        ({"K2_KRAKEN_WS_URL": "ws://127.0.0.1:1"}, ""),  # not to mix its trades with the exchange's own
        (
            {"K2_KRAKEN_WS_URL": "ws://127.0.0.1:1", "K2_KRAKEN_REST_URL": "http://127.0.0.1:2"},
            "http://127.0.0.1:2",
        ),
        ({"K2_KRAKEN_REST_URL": "http://127.0.0.1:2"}, "http://127.0.0.1:2"),
    ],
)
def test_trades_are_fetched_from_where_the_feed_is(given, url):
    loaded = settings.load(given)
    assert loaded.feeds.rest_url("kraken") == url
    assert loaded.feeds.fills_gaps("kraken") == (bool(url) and loaded.feeds.gap_fill)


@pytest.mark.parametrize(("seconds", "expected"), [(4.1, 4_100_000), (5.0, 5_000_000), (0.000001, 1)])
def test_a_grace_is_the_microseconds_it_says(seconds, expected):
    assert settings.CandleSettings(grace_seconds=seconds).grace_us == expected


@given(st.integers(1, 10**12))
def test_any_whole_microseconds_come_back(micros):
    given_text = str(Decimal(micros) / 10**6)
    names = ("K2_GRACE_SECONDS", "K2_IDLE_SECONDS", "K2_GAP_FILL_MARGIN_SECONDS")
    read = settings.load(dict.fromkeys(names, given_text))
    assert (read.candles.grace_us, read.candles.idle_us, read.feeds.gap_fill_margin_us) == (micros,) * 3


@pytest.mark.parametrize(("seconds", "expected"), [(5.0, 5000), (0.0011, 2), (0.000001, 1)])
def test_a_grace_in_ms_is_never_less_than_the_grace(seconds, expected):
    assert settings.CandleSettings(grace_seconds=seconds).grace_ms == expected


def nodes():
    """Every node of the program's files, with the file."""
    for folder in ("k2stream", "agents", "tables"):
        for path in (ROOT / folder).rglob("*.py"):
            if not path.parent.is_symlink():
                yield from (
                    (str(path.relative_to(ROOT)), node) for node in ast.walk(ast.parse(path.read_text()))
                )


def test_the_grace_is_converted_in_one_place():
    converted = {"grace_seconds", "idle_seconds", "gap_fill_margin_seconds"}
    found = {path for path, node in nodes() if isinstance(node, ast.Attribute) and node.attr in converted}
    assert found == {"k2stream/settings/candles.py", "k2stream/settings/feeds.py"}


def reads_the_process(node: ast.AST) -> bool:
    """Whether a node takes `current` or `load` of the settings, by name or by module."""
    reading = ("current", "load")
    if isinstance(node, ast.ImportFrom):
        return node.module == "k2stream.settings" and any(alias.name in reading for alias in node.names)
    if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
        return False
    return node.value.id == "settings" and node.attr in reading


def test_only_entry_points_read_the_settings_of_their_process():
    """Whoever they call is handed its section."""
    found = {path for path, node in nodes() if reads_the_process(node)}
    others = {path for path in found if not path.startswith(("agents/", "k2stream/commands/"))}
    library = {"k2stream/read/candles.py", "k2stream/read/trades.py"}  # called from notebooks
    assert (
        others
        == {
            "k2stream/app.py",
            "k2stream/embedded/clickhouse/__main__.py",
            "k2stream/embedded/jars.py",
        }
        | library
    )


NAMES = (
    "data_dir cache_dir broker_heap_mb instruments_file "
    "kafka_bootstrap kafka_security_protocol kafka_sasl_mechanism kafka_sasl_username kafka_sasl_password "
    "kafka_tls_ca_file kafka_tls_cert_file kafka_tls_key_file kafka_replication normalized_partitions "
    "registry_url registry_username registry_password "
    "registry_tls_ca_file registry_tls_cert_file registry_tls_key_file "
    "clickhouse_host clickhouse_port clickhouse_alt_hosts clickhouse_cluster clickhouse_reserve_bytes "
    "clickhouse_database clickhouse_user clickhouse_password clickhouse_secure "
    "clickhouse_tls_ca_file clickhouse_tls_cert_file clickhouse_tls_key_file "
    "iceberg_catalog_uri iceberg_warehouse iceberg_token iceberg_credential "
    "iceberg_s3_endpoint iceberg_s3_region iceberg_s3_access_key_id iceberg_s3_secret_access_key "
    "iceberg_tls_ca_file iceberg_tls_cert_file iceberg_tls_key_file "
    "exchanges simulated silence_seconds reconnect_base_seconds reconnect_cap_seconds max_frame_bytes "
    "metrics_line_seconds gap_fill gap_fill_margin_seconds "
    "grace_seconds idle_seconds candle_emit_seconds candle_retention "
    "sink_flush_seconds sink_max_rows cold_commit_seconds cold_commit_rows "
    "cold_maintain_at cold_compact_rows cold_snapshot_seconds cold_orphan_seconds cold_audit_seconds "
    "web_key web_tls_ca_file web_tls_cert_file web_tls_key_file "
    "exchange web_host web_bind web_port log_format log_level commit_seconds stall_seconds refused_seconds "
    "service_bind service_keys service_origins service_port service_rate service_workers "
    "service_client_key service_tls_ca_file service_tls_cert_file service_tls_key_file "
    "trace_one_in trace_url "
    "agreement_enabled agreement_delay_seconds agreement_requests_per_minute agreement_max_pending"
)
OF_EACH_EXCHANGE = ("ws_url", "rest_url", "klines_url", "partitions")


def test_every_variable_keeps_its_name():
    """Deployments set them: a section or a field may be renamed, its variable may not."""
    names = [*NAMES.split(), *(f"{exchange}_{name}" for exchange in REGISTRY for name in OF_EACH_EXCHANGE)]
    listed = [variable for variable, _, _ in settings.listing(settings.Settings(), {})]
    assert sorted(listed) == sorted(f"K2_{name.upper()}" for name in names)


def test_sections_that_share_a_variable_agree():
    read = settings.load({"K2_DATA_DIR": "/elsewhere"})
    assert read.local.data_path == read.iceberg.data_path == Path("/elsewhere")
    assert settings.Settings().local.data_path == settings.Settings().iceberg.data_path
    assert settings.replace(read, data_dir="/again").iceberg.data_dir == "/again"


def test_a_value_of_one_exchange_leaves_the_others():
    read = settings.make(kraken_partitions=3, binance_partitions=2)
    counts = {"binance": 2, "kraken": 3, "coinbase": 1}
    assert {name: read.kafka.raw_partitions(name) for name in REGISTRY} == counts
    assert settings.replace(read, kraken_partitions=1).kafka.raw_partitions("binance") == 2
    assert settings.Settings().kafka.raw_partitions("kraken") == 1


def test_a_name_that_does_not_exist_is_refused():
    with pytest.raises(KeyError, match="grace_minutes"):
        settings.make(grace_minutes=1)


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e300", "-5"])
def test_a_duration_that_none_can_wait_for_is_refused_at_the_start(value):
    """An infinite one ended workers with a traceback, a negative silence was over at each connection."""
    durations = [name for name in variables() if name.endswith("_seconds")]
    assert "grace_seconds" in durations and "silence_seconds" in durations
    for name in durations:
        with pytest.raises(ConfigError, match=f"K2_{name.upper()}="):
            settings.load({f"K2_{name.upper()}": value})
