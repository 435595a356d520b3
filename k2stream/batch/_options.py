"""Recommended options of a batch app."""

from __future__ import annotations

from typing import Any


def batch_app_options(bootstrap: str, **overrides: Any) -> dict[str, Any]:
    """Return keyword arguments for ``BatchApp``; ``overrides`` take precedence.

    ``bootstrap`` is "host:port[,host:port...]"; ValueError if it is empty. Times are in seconds. Batches stay
    below the broker's default limit of 1 MB per message.
    """
    servers = [server.strip() for server in bootstrap.split(",") if server.strip()]
    if not servers:
        raise ValueError('batch_app_options: bootstrap is empty, expected "host:port[,host:port...]"')
    options: dict[str, Any] = {
        "broker": ";".join(f"k2batch://{server}" for server in servers),
        "store": "memory://",
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": 1 << 20,
        "broker_max_poll_records": 10_000,
        "broker_check_crcs": True,
        "broker_commit_interval": 1.0,
        "broker_session_timeout": 6.0,
        "broker_heartbeat_interval": 1.0,
        "broker_rebalance_timeout": 20.0,
        "broker_request_timeout": 30.0,
        "producer_acks": -1,
        "producer_linger": 0.0,
        "producer_max_batch_size": 900_000,
        "producer_request_timeout": 30.0,
        "stream_wait_empty": True,
        "stream_recovery_delay": 0.0,
        "topic_disable_leader": True,
    }
    return options | overrides
