"""Settings of TLS and credentials that contradict each other: found before anything is started."""

from __future__ import annotations

from k2stream.model.errors import ConfigError
from k2stream.settings import tls
from k2stream.settings.kafka import KafkaSettings
from k2stream.settings.sections import Settings


def check(settings: Settings) -> None:
    """Raise ConfigError where a credential is missing or not used, or a file of TLS cannot be used."""
    kafka, clickhouse, iceberg = settings.kafka, settings.clickhouse, settings.iceberg
    _check_sasl(kafka)
    if bool(kafka.registry_username) != bool(kafka.registry_password):
        raise ConfigError(
            "K2_REGISTRY_USERNAME and K2_REGISTRY_PASSWORD belong together: set both or neither"
        )
    if iceberg.token and iceberg.credential:
        raise ConfigError("K2_ICEBERG_TOKEN and K2_ICEBERG_CREDENTIAL are both set: keep one of them")
    if bool(iceberg.s3_access_key_id) != bool(iceberg.s3_secret_access_key):
        raise ConfigError(
            "K2_ICEBERG_S3_ACCESS_KEY_ID and K2_ICEBERG_S3_SECRET_ACCESS_KEY belong together: set both or "
            "neither"
        )
    used = {
        "K2_KAFKA": (kafka.tls, kafka.encrypted, "K2_KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL"),
        "K2_REGISTRY": (
            kafka.registry.tls,
            kafka.registry_url.startswith("https:"),
            "K2_REGISTRY_URL to https://…",
        ),
        "K2_CLICKHOUSE": (clickhouse.tls, clickhouse.secure, "K2_CLICKHOUSE_SECURE to true"),
        "K2_ICEBERG": (iceberg.tls, True, ""),
        "K2_WEB": (settings.worker.web_tls, True, ""),
        "K2_SERVICE": (settings.service.tls, True, ""),
    }
    for prefix, (files, encrypted, needed) in used.items():
        if any(files) and not encrypted:
            raise ConfigError(f"{prefix}_TLS_…_FILE is set, but the connection has no TLS: set {needed}")
        tls.check(prefix, files)


def _check_sasl(kafka: KafkaSettings) -> None:
    given = {
        "K2_KAFKA_SASL_MECHANISM": kafka.sasl_mechanism,
        "K2_KAFKA_SASL_USERNAME": kafka.sasl_username,
        "K2_KAFKA_SASL_PASSWORD": kafka.sasl_password,
    }
    protocol = f"K2_KAFKA_SECURITY_PROTOCOL={kafka.security_protocol}"
    for name, value in given.items():
        if kafka.authenticated and not value:
            raise ConfigError(f"{protocol} needs {name}: set it, or another protocol")
        if value and not kafka.authenticated:
            raise ConfigError(f"{name} is set, but {protocol} does not log in: set it to SASL_SSL")
