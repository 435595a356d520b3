"""The exchange whose API the mirror speaks, which needs no prefix: `/api/v3` is `/binance/api/v3`."""

ROOT = "binance"
