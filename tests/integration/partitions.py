"""Topics of two partitions: workers share them, and a symbol's own has to be found in every layer."""

from k2stream.settings import make

TWO = {
    "binance_partitions": 2,
    "kraken_partitions": 2,
    "coinbase_partitions": 2,
    "normalized_partitions": 2,
}
"""Settings; all that use the stack of a run take them: it has its topics once."""


def settings_on(endpoints, folder, **more):
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
