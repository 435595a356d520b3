"""Settings of the Kafka cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import field

from k2stream.exchanges import REGISTRY
from k2stream.settings.kinds import (
    HttpUrl,
    Positive,
    SaslMechanism,
    Secret,
    Section,
    SecurityProtocol,
)
from k2stream.settings.registry import RegistryAddress
from k2stream.settings.tls import Tls, client_context


class KafkaSettings(Section, frozen=True, kw_only=True, rename="kafka_{}".format):
    """Addresses and credentials of cluster and schema registry, partition counts and replication factor.

    Changing a partition count moves keys to other partitions: see docs/operations/change.md.
    """

    bootstrap: str = "127.0.0.1:9092"  # host:port,…
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism = ""
    sasl_username: str = ""
    sasl_password: Secret = ""
    tls_ca_file: str = ""  # empty: the system's CAs
    tls_cert_file: str = ""  # our own certificate, for brokers that ask for one, and its key
    tls_key_file: str = ""
    replication: Positive = 1
    registry_url: HttpUrl = field(default="http://127.0.0.1:8081/apis/ccompat/v7", name="registry_url")
    registry_username: str = field(default="", name="registry_username")
    registry_password: Secret = field(default="", name="registry_password")
    registry_tls_ca_file: str = field(default="", name="registry_tls_ca_file")
    registry_tls_cert_file: str = field(default="", name="registry_tls_cert_file")
    registry_tls_key_file: str = field(default="", name="registry_tls_key_file")
    normalized_partitions: Positive = field(default=1, name="normalized_partitions")
    partitions_by_exchange: Mapping[str, Positive] = field(  # raw topics
        default_factory=lambda: dict.fromkeys(REGISTRY, 1), name="{exchange}_partitions"
    )

    def raw_partitions(self, exchange: str) -> int:
        """Partition count of an exchange's raw topic."""
        return self.partitions_by_exchange[exchange]

    @property
    def encrypted(self) -> bool:
        """Whether connections to the brokers use TLS."""
        return self.security_protocol.endswith("SSL")

    @property
    def authenticated(self) -> bool:
        """Whether connections to the brokers log in with SASL."""
        return self.security_protocol.startswith("SASL")

    @property
    def tls(self) -> Tls:
        """The files of TLS to the brokers."""
        return Tls(self.tls_ca_file, self.tls_cert_file, self.tls_key_file)

    @property
    def connection(self) -> dict[str, Any]:
        """Keyword arguments of all of aiokafka's clients: where, who, and how."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self.security_protocol,
        }
        if self.encrypted:
            options["ssl_context"] = client_context(self.tls)
        if self.authenticated:
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.sasl_username
            options["sasl_plain_password"] = self.sasl_password
        return options

    @property
    def registry(self) -> RegistryAddress:
        """Where the schema registry is, who asks it, and how."""
        return RegistryAddress(
            self.registry_url,
            self.registry_username,
            self.registry_password,
            Tls(self.registry_tls_ca_file, self.registry_tls_cert_file, self.registry_tls_key_file),
        )
