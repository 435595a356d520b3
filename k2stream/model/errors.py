"""The hierarchy of errors, and what each of them means to callers and users."""

from collections.abc import Mapping

UNREADABLE = (ValueError, RecursionError)
"""What decoding JSON of others may raise: msgspec's errors and UnicodeDecodeError are ValueErrors, and arrays
that are nested too deeply a RecursionError."""


class K2Error(Exception):
    """The base of all errors of K2 stream. The message says what is wrong, where, and how to fix it.

    `k2` and plain `faust` print it as one line without a traceback, and exit with `exit_code`.
    """

    exit_code = 1


class ConfigError(K2Error):
    """A setting, file or argument is wrong, or what it names does not exist."""


class NoServer(ConfigError):
    """Nothing answers at `address`, which `setting` (a variable's name) has."""

    def __init__(self, text: str, address: str, setting: str) -> None:
        super().__init__(text)
        self.address, self.setting = address, setting


class StateRefused(K2Error):
    """State does not match what it refers to; the message says what was found, and the command to repair it.

    The exit code is EX_CONFIG: a restarted worker would fail the same way.
    """

    exit_code = 78


class Expired(K2Error):
    """Part of a topic that was to be read no longer exists, or never did: it must not be taken for empty."""


class Unavailable(K2Error):
    """A required service does not answer or makes no progress; a retry may succeed."""


class Inconsistent(K2Error):
    """Two things that must agree do not: nothing more may be written."""


class BadData(K2Error):
    """Bytes, values or types that cannot be used; their source works as such."""


class Unreadable(BadData, ValueError):
    """Records of a batch that cannot be read; `causes` has the cause of each by row."""

    def __init__(self, causes: Mapping[int, str]) -> None:
        super().__init__(next(iter(causes.values()), ""))
        self.causes = causes


class RequestError(K2Error):
    """A refused request, with the HTTP status and a body that says what would be accepted."""

    def __init__(self, status: int, message: str, **known: object) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": message, **known}


class UnknownSchema(BadData, LookupError):
    """The registry answered, and has no schema with that id."""


class RegistryUnavailable(Unavailable, LookupError):
    """The registry does not answer, so that a schema is not known yet."""


def mending(topic: str, reader: str) -> str:
    """The command that repairs a position in a topic; `reader` is a role, or a sink's table."""
    reports = topic.endswith((".certificates", ".checks"))
    if reader == "certify" or (reports and not reader):
        return "`k2 mend certify` reports what can be done"
    if reader in ("normalize", "candles") and ".ohlcv." not in topic:
        return f"`k2 mend {reader}` reports what can be done"
    if topic.endswith((".raw", ".normalized")):
        return "`k2 mend normalize` reports what can be done"
    if ".ohlcv." in topic and not reports:
        return "`k2 mend candles` reports what can be done"
    table = "TABLE" if reader in ("hot", "cold") else reader
    return f"`k2 refill {table} --all` reads it from its beginning"


FILLING = "`k2 replay --swap` fills the tables from the raw topics and Iceberg"
"""The fix for rows that expired in Kafka before a sink read them."""


def refusal(error: BaseException | None) -> StateRefused | None:
    """The StateRefused that an error is or was caused by, if any."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, StateRefused):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None
