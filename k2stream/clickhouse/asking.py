"""A client of ClickHouse for questions of people: errors are one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clickhouse_driver import errors

from k2stream.clickhouse.destination import UNREACHABLE, ArrowClient, connect
from k2stream.model.errors import ConfigError, NoServer
from k2stream.settings import ClickHouseSettings

SERVER_ERRORS = (errors.ServerException,)
"""What the server says against a query."""

READ_ONLY = {"readonly": 2}
"""Settings of a query that changes nothing but settings of its own."""


@contextmanager
def asking(settings: ClickHouseSettings) -> Iterator[ArrowClient]:
    """A client whose tables are those of the database of the settings.

    Raises ConfigError where the server cannot be reached, or refuses a query.
    """
    client = connect(settings)
    client.connection.database = settings.database
    try:
        yield client
    except errors.ServerException as error:
        raise refused(error) from None
    except UNREACHABLE as error:
        raise none_at(settings, error) from None
    finally:
        client.disconnect()


def none_at(settings: ClickHouseSettings, error: Exception) -> NoServer:
    """What to do where the server cannot be reached."""
    where, why = f"{settings.host}:{settings.port}", " ".join(str(error).split())[:200]
    text = f"no ClickHouse at {where} ({why}): start a platform with `k2 up`, or set K2_CLICKHOUSE_HOST"
    return NoServer(text, where, "K2_CLICKHOUSE_HOST")


def refused(error: errors.ServerException) -> ConfigError:
    """What the server says against a query, in one line without its stack trace."""
    text = " ".join(str(error.message).partition("Stack trace:")[0].split())
    return ConfigError(f"ClickHouse refused the query: {text.removeprefix('DB::Exception: ')[:500]}")
