"""Settings of the service: REST and streams for clients."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from k2stream.settings.kinds import Port, Secret, Section, bearer
from k2stream.settings.tls import Tls, client_context

Workers = Annotated[
    str,
    Meta(
        pattern=r"^(\s*[\w-]+=https?://[^,\s]+\s*(,|$))*$",
        extra={"expected": "name=http://host:port, separated by commas"},
    ),
]

SecretDigests = Annotated[
    str,
    Meta(
        pattern=r"^([0-9a-fA-F]{64}([,\s]+|$))*$",
        extra={"secret": True, "expected": "SHA-256 digests of 64 hex digits, separated by commas"},
    ),
]
Origins = Annotated[
    str,
    Meta(
        pattern=r"^(\s*(\*|https?://[^/,\s]+)\s*(,|$))*$",
        extra={"expected": "* or https://host, separated by commas"},
    ),
]


class ServiceSettings(Section, frozen=True, kw_only=True, rename="service_{}".format):
    """Where the service of a candles worker listens, who may ask it, and how commands ask it."""

    bind: str = "127.0.0.1"  # address to listen on
    port: Port = 0  # 0: any free port; `k2 up` takes 6066, or the next free one
    workers: Workers = ""  # name=http://host:port,… of all workers, for /v1/status; `k2 up` knows its own
    keys: SecretDigests = ""  # SHA-256 (64 hex digits) of each key of clients; empty: no key is needed
    rate: Annotated[float, Meta(ge=0)] = 0.0  # requests per second and client; 0: any number
    client_key: Secret = ""  # the key that commands and notebooks send
    tls_cert_file: str = ""  # makes the service listen with TLS, with this certificate and its key
    tls_key_file: str = ""
    tls_ca_file: str = ""  # for commands and notebooks; empty: the system's CAs
    origins: Origins = ""  # sites whose pages may read answers (CORS), separated by commas; *: all

    @property
    def key_digests(self) -> list[str]:
        """SHA-256 of each key, in lower case."""
        return self.keys.lower().replace(",", " ").split()

    @property
    def origin_names(self) -> list[str]:
        """The origins that may read answers."""
        return [origin.strip() for origin in self.origins.split(",") if origin.strip()]

    @property
    def worker_urls(self) -> dict[str, str]:
        """Base URLs of the workers' metrics, by name."""
        pairs = (entry.strip().split("=", 1) for entry in self.workers.split(",") if entry.strip())
        return {name: url.rstrip("/") for name, url in pairs}

    @property
    def tls(self) -> Tls:
        """The files of TLS to the service."""
        return Tls(self.tls_ca_file, self.tls_cert_file, self.tls_key_file)

    @property
    def scheme(self) -> str:
        """The scheme of the service's URLs."""
        return "https" if self.tls_cert_file else "http"

    @property
    def connection(self) -> dict[str, Any]:
        """Keyword arguments of httpx's clients that ask the service."""
        return {"headers": bearer(self.client_key), "verify": client_context(Tls(self.tls_ca_file))}
