"""How the schema registry is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from k2stream.settings.tls import SYSTEM, Tls, client_context


@dataclass(frozen=True, slots=True)
class RegistryAddress:
    """The base URL of a registry, and with whose name and files of TLS it is asked."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    tls: Tls = SYSTEM

    @property
    def connection(self) -> dict[str, Any]:
        """Keyword arguments of httpx's clients."""
        # Contexts are made once; httpx would load all certificates for each client.
        options: dict[str, Any] = {"verify": client_context(self.tls)}
        if self.username:
            options["auth"] = (self.username, self.password)
        return options
