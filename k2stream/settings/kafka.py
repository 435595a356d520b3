"""Settings of the Kafka cluster."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import field

from k2stream.exchanges import REGISTRY
from k2stream.settings.kinds import Positive, Secret, Section


class KafkaSettings(Section, frozen=True, kw_only=True, rename="kafka_{}".format):
    """The cluster's address and credentials, its schema registry, how many partitions and copies topics have.

    Changing a partition count moves keys and is a migration, see docs/operations/change.md.
    """

    bootstrap: str = "127.0.0.1:9092"  # host:port,…
    registry_url: str = field(default="http://127.0.0.1:8081/apis/ccompat/v7", name="registry_url")
    security_protocol: str = "PLAINTEXT"  # PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password: Secret = ""
    replication: Positive = 1
    normalized_partitions: Positive = field(default=1, name="normalized_partitions")
    partitions_by_exchange: Mapping[str, Positive] = field(  # of the raw topics
        default_factory=lambda: dict.fromkeys(REGISTRY, 1), name="{exchange}_partitions"
    )

    def raw_partitions(self, exchange: str) -> int:
        """How many partitions the exchange's raw topic has."""
        return self.partitions_by_exchange[exchange]
