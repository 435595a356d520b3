"""Topics of two partitions: workers share them, and a symbol's own has to be found in every layer."""

from pathlib import Path
from typing import Any

from k2stream.embedded.endpoints import Endpoints
from k2stream.settings import Settings, make

TWO: dict[str, Any] = {
    "binance_partitions": 2,
    "kraken_partitions": 2,
    "coinbase_partitions": 2,
    "normalized_partitions": 2,
}
"""Settings; all that use the stack of a run take them: it has its topics once."""


def settings_on(endpoints: Endpoints, folder: Path, **more: Any) -> Settings:
    """Settings of workers on a test's stack."""
    return make(
        kafka_bootstrap=endpoints.bootstrap,
        registry_url=endpoints.registry_url,
        data_dir=str(folder),
        commit_seconds=0.2,
        simulated=True,
        **TWO,
        **more,
    )
