"""The tree of errors: what each branch means to whoever catches it, or reads its one line."""

from collections.abc import Mapping


class K2Error(Exception):
    """The root of all errors of K2 stream: what is wrong, where, and where a person can help, what to do.

    `k2` and plain `faust` print it as one line, without a traceback, and exit with `exit_code`.
    """

    exit_code = 1


class ConfigError(K2Error):
    """A setting, file or argument is wrong, or what it names is not there."""


class StateRefused(K2Error):
    """State does not fit what it refers to: the message says what was seen, and the command that mends it.

    Its exit code is EX_CONFIG: starting the worker again would find the same.
    """

    exit_code = 78


class Expired(K2Error):
    """A stretch of a topic that was to be read is not there any more, or never was: it is not empty."""


class Unavailable(K2Error):
    """What is needed does not answer, or does not get on: the same may succeed later."""


class Inconsistent(K2Error):
    """Two things that must agree do not: nothing may be written from here on."""


class BadData(K2Error):
    """Bytes, values or types that cannot be used; where they come from is not at fault."""


class Unreadable(BadData, ValueError):
    """Records of a batch that cannot be read: the cause of each, by row."""

    def __init__(self, causes: Mapping[int, str]) -> None:
        super().__init__(next(iter(causes.values()), ""))
        self.causes = causes


class UnknownSchema(BadData, LookupError):
    """The registry answers, and has no schema of that id."""


def mending(topic: str, reader: str) -> str:
    """The command that mends positions in a topic of `reader`: a role, or a sink's table."""
    if reader in ("normalize", "candles") and ".ohlcv." not in topic:
        return f"`k2 mend {reader}` says what can be done"
    if topic.endswith((".raw", ".normalized")):
        return "`k2 mend normalize` says what can be done"
    if ".ohlcv." in topic:
        return "`k2 mend candles` says what can be done"
    table = "TABLE" if reader in ("hot", "cold") else reader
    return f"`k2 refill {table} --all` reads it from its beginning"


FILLING = "`k2 replay --swap` fills the tables from the raw topics and Iceberg"
"""What helps rows that expired in Kafka before a sink read them."""


def refusal(error: BaseException | None) -> StateRefused | None:
    """The StateRefused that an error is, or was caused by."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, StateRefused):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None
