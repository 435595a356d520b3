"""Keeps others out of a stack: in its data folder, a CA, a certificate for its servers, and passwords."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from k2stream.settings.tls import Tls

FOLDER = "access"
USER = "k2"
MECHANISM: Final = "SCRAM-SHA-512"

_FILES = {"kafka": "kafka_sasl_password", "clickhouse": "clickhouse_password", "workers": "web_key"}
"""The secret setting that each file has."""

_SECRETS = {name: file for file, name in _FILES.items()}


@dataclass(frozen=True, slots=True)
class StackGuard:
    """The files of a guarded stack; only its user can read them."""

    folder: Path

    @classmethod
    def of(cls, data_dir: Path) -> StackGuard:
        """The guard of a data folder, whether it exists or not."""
        return cls(data_dir / FOLDER)

    @property
    def exists(self) -> bool:
        """Whether the files were made."""
        return self.folder.is_dir()

    @property
    def ca(self) -> Path:
        """The CA's certificate."""
        return self.folder / "ca.pem"

    @property
    def certificate(self) -> Path:
        """The servers' certificate, for 127.0.0.1 and localhost."""
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        """The servers' private key."""
        return self.folder / "server.key"

    @property
    def bundle(self) -> Path:
        """Key and certificate in one file."""
        return self.folder / "bundle.pem"

    @property
    def tls(self) -> Tls:
        """The files, for a server."""
        return Tls(str(self.ca), str(self.certificate), str(self.key))

    def secret(self, name: str) -> str:
        """The value of a secret setting."""
        return self.secret_file(name).read_text()

    def secret_file(self, name: str) -> Path:
        """The file of a secret setting."""
        return self.folder / _SECRETS[name]

    @property
    def secret_files(self) -> dict[str, str]:
        """The files of the secret settings, by their names."""
        return {name: str(self.secret_file(name)) for name in _SECRETS}

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of whoever connects to the stack, and of the workers on it, by their names."""
        ca, certificate, key = self.tls
        return {
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_mechanism": MECHANISM,
            "kafka_sasl_username": USER,
            "kafka_tls_ca_file": ca,
            "registry_tls_ca_file": ca,
            "clickhouse_secure": True,
            "clickhouse_user": USER,
            "clickhouse_tls_ca_file": ca,
            "web_tls_ca_file": ca,
            "web_tls_cert_file": certificate,
            "web_tls_key_file": key,
            "service_tls_ca_file": ca,
            "service_tls_cert_file": certificate,
            "service_tls_key_file": key,
            **{name: self.secret(name) for name in _SECRETS},
        }

    def make(self) -> None:
        """Make certificates and passwords, unless they exist."""
        if self.exists:
            return
        from k2stream.embedded import authority  # its library takes a while to load

        fresh = self.folder.with_suffix(".new")
        fresh.mkdir(mode=0o700, parents=True, exist_ok=True)
        making = StackGuard(fresh)
        issued = authority.issue()
        texts = {making.ca: issued.ca, making.certificate: issued.certificate, making.key: issued.key}
        texts[making.bundle] = issued.key + issued.certificate
        texts |= {making.secret_file(name): secrets.token_hex(16).encode() for name in _SECRETS}
        for path, text in texts.items():
            write_private(path, text)
        fresh.rename(self.folder)


def write_private(path: Path, text: bytes) -> None:
    """Write a file that only its user can read, from its first byte on."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(text)
