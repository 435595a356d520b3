"""Topics of two partitions: workers share them, and a symbol's own has to be found in every layer."""

TWO = {
    "binance_partitions": 2,
    "kraken_partitions": 2,
    "coinbase_partitions": 2,
    "normalized_partitions": 2,
}
"""Settings; all that use the stack of a run take them: it has its topics once."""
