"""Settings of the Kafka cluster."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import field

from k2stream.exchanges import REGISTRY
from k2stream.settings.kinds import HttpUrl, Positive, Secret, Section, SecurityProtocol


class KafkaSettings(Section, frozen=True, kw_only=True, rename="kafka_{}".format):
    """Address and credentials of the cluster, schema registry URL, partition counts and replication factor.

    Changing a partition count moves keys to other partitions: see docs/operations/change.md.
    """

    bootstrap: str = "127.0.0.1:9092"  # host:port,…
    registry_url: HttpUrl = field(default="http://127.0.0.1:8081/apis/ccompat/v7", name="registry_url")
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password: Secret = ""
    replication: Positive = 1
    normalized_partitions: Positive = field(default=1, name="normalized_partitions")
    partitions_by_exchange: Mapping[str, Positive] = field(  # raw topics
        default_factory=lambda: dict.fromkeys(REGISTRY, 1), name="{exchange}_partitions"
    )

    def raw_partitions(self, exchange: str) -> int:
        """Partition count of an exchange's raw topic."""
        return self.partitions_by_exchange[exchange]
