"""Settings of the service: REST and streams for clients."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from k2stream.settings.kinds import Port, Section

Workers = Annotated[
    str,
    Meta(
        pattern=r"^(\s*[\w-]+=https?://[^,\s]+\s*(,|$))*$",
        extra={"expected": "name=http://host:port, separated by commas"},
    ),
]


class ServiceSettings(Section, frozen=True, kw_only=True, rename="service_{}".format):
    """Where the service of a candles worker listens."""

    bind: str = "127.0.0.1"  # address to listen on
    port: Port = 0  # 0: any free port; `k2 up` takes 6066, or the next free one
    workers: Workers = ""  # name=http://host:port,… of all workers, for /v1/status; `k2 up` knows its own

    @property
    def worker_urls(self) -> dict[str, str]:
        """Base URLs of the workers' metrics, by name."""
        pairs = (entry.strip().split("=", 1) for entry in self.workers.split(",") if entry.strip())
        return {name: url.rstrip("/") for name, url in pairs}
