"""Who may use a guarded server: one user with a password, over TLS."""

from __future__ import annotations

import base64
import hmac
import ssl
from binascii import Error as Base64Error
from collections.abc import Mapping
from pathlib import Path

from k2stream.embedded.clickhouse.engine import QueryError
from k2stream.embedded.clickhouse.protocol import Login
from k2stream.embedded.guard import USER, StackGuard
from k2stream.settings.tls import server_context

AUTHENTICATION_FAILED = 516


class Door:
    """The server's TLS, and its one user."""

    def __init__(self, folder: Path) -> None:
        guard = StackGuard(folder)
        self.context: ssl.SSLContext | None = server_context(guard.tls)
        self._login = Login(USER, guard.secret("clickhouse_password"))

    def check(self, given: Login) -> None:
        """Raise QueryError for anyone else, without saying whether the user or the password is wrong."""
        pairs = zip(given, self._login, strict=True)
        # Both are compared, so that the time says nothing of which one is wrong.
        if sum(hmac.compare_digest(text.encode(), wanted.encode()) for text, wanted in pairs) < 2:
            raise QueryError(
                AUTHENTICATION_FAILED,
                "DB::Exception: Authentication failed: password is incorrect, or there is no user with such "
                "name. (AUTHENTICATION_FAILED)",
            )

    def check_http(self, headers: Mapping[str, str], parameters: Mapping[str, str]) -> None:
        """As `check`, for an HTTP request."""
        self.check(of_http(headers, parameters))


def of_http(headers: Mapping[str, str], parameters: Mapping[str, str]) -> Login:
    """The login of an HTTP request: ClickHouse's headers, Basic, or parameters of the URL."""
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (Base64Error, UnicodeDecodeError):
            user = password = ""
        return Login(user, password)
    if "x-clickhouse-user" in headers:
        return Login(headers["x-clickhouse-user"], headers.get("x-clickhouse-key", ""))
    return Login(parameters.get("user", ""), parameters.get("password", ""))
