"""Settings of the service: REST and streams for clients."""

from __future__ import annotations

from k2stream.settings.kinds import Port, Section


class ServiceSettings(Section, frozen=True, kw_only=True, rename="service_{}".format):
    """Where the service of a candles worker listens."""

    bind: str = "127.0.0.1"  # address to listen on
    port: Port = 0  # 0: any free port; `k2 up` takes 6066, or the next free one
