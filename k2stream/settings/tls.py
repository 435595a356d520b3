"""TLS of connections: whose certificates are trusted, and our own."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path
from typing import NamedTuple

from k2stream.model.errors import ConfigError


class Tls(NamedTuple):
    """Files in PEM: the CA that others' certificates are signed by, and our own certificate with its key.

    An empty `ca_file` stands for the CAs of the system, an empty `cert_file` for no certificate of our own.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


SYSTEM = Tls()
"""Trusts the system's CAs, and shows no certificate."""


@cache
def client_context(tls: Tls = SYSTEM) -> ssl.SSLContext:
    """For connections to servers, whose certificate and name are checked.

    Made once, because loading the CAs of a system takes 20 ms. Raises OSError for a file that is unusable.
    """
    context = ssl.create_default_context(cafile=tls.ca_file or None)
    if tls.cert_file:
        _load(context, tls)
    return context


@cache
def server_context(tls: Tls) -> ssl.SSLContext | None:
    """For a server of our own; None without a certificate. Raises OSError for a file that is unusable."""
    if not tls.cert_file:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _load(context, tls)
    return context


def check(prefix: str, tls: Tls) -> None:
    """Check the files of the settings `<prefix>_TLS_…_FILE`.

    Raises ConfigError naming the setting when a file is missing, unreadable, or not what it must be.
    """
    names = dict(zip(Tls._fields, (f"{prefix}_TLS_{field.upper()}" for field in Tls._fields), strict=True))
    if bool(tls.cert_file) != bool(tls.key_file):
        raise ConfigError(
            f"{names['cert_file']} and {names['key_file']} belong together: set both or neither"
        )
    for field, file in tls._asdict().items():
        if file:
            _check_file(names[field], file)
    if tls.ca_file:
        try:
            ssl.create_default_context(cafile=tls.ca_file)
        except OSError:
            raise ConfigError(f"{names['ca_file']}={tls.ca_file!r} holds no certificate in PEM") from None
    try:
        server_context(tls)
    except OSError:
        raise ConfigError(
            f"{names['cert_file']}={tls.cert_file!r}: not a certificate in PEM with the key of "
            f"{names['key_file']}, which must not be encrypted"
        ) from None


def _check_file(name: str, file: str) -> None:
    try:
        with Path(file).open("rb"):
            pass
    except OSError as error:
        raise ConfigError(f"{name}={file!r}: {error.strerror}") from None


def _load(context: ssl.SSLContext, tls: Tls) -> None:
    """An encrypted key is an error: without a password, OpenSSL would ask for one on the terminal."""
    context.load_cert_chain(tls.cert_file, tls.key_file, password=lambda: "")
