"""Refusals in the shape of the mirrored API: a code, a message, and an HTTP status."""

from __future__ import annotations

import logging
from typing import Any

from k2stream.model.errors import K2Error
from k2stream.web.query import RequestError

logger = logging.getLogger(__name__)

INTERNAL = "Internal error; unable to process your request. Please try again."


class MirrorError(K2Error):
    """A refusal with the API's own code and message; `retry` is after how many seconds to ask again."""

    def __init__(self, code: int, message: str, status: int = 400, retry: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.retry = retry

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object that the API sends."""
        return {"code": self.code, "msg": str(self)}

    @property
    def headers(self) -> dict[str, str]:
        """The headers that belong to it."""
        return {} if self.retry is None else {"Retry-After": str(self.retry)}


def mandatory(name: str) -> MirrorError:
    """The refusal of a request without a parameter that it must have."""
    return MirrorError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, legal: str) -> MirrorError:
    """The refusal of a parameter that does not match the regular expression `legal`."""
    return MirrorError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def invalid(name: str) -> MirrorError:
    """The refusal of a parameter of the right characters and a wrong value."""
    return MirrorError(-1130, f"Data sent for parameter '{name}' is not valid.")


def unsupported(reason: str, status: int = 400) -> MirrorError:
    """The refusal of what the API has and K2 has not."""
    return MirrorError(-1020, f"This operation is not supported. {reason}", status)


def refusal(error: Exception, asked: str) -> MirrorError:
    """Any error as a refusal: a fault of ours is logged in one line, and nothing of it is sent."""
    if isinstance(error, MirrorError):
        return error
    if isinstance(error, RequestError):
        return MirrorError(-1001, f"{INTERNAL} ({error})", error.status, retry=1)
    reason = " ".join(str(error).split())[:200]
    logger.error("%s failed: %s: %s", asked, type(error).__name__, reason)
    return MirrorError(-1000, "An unknown error occurred while processing the request.", 500)
