"""What the sink's destination tells its server and its sink, without a server."""

import pytest
from clickhouse_driver import errors

from k2stream.clickhouse.destination import ClickHouse, SinkClient
from k2stream.layers import silver
from k2stream.settings import ClickHouseSettings


def test_a_connection_that_was_closed_fails_the_query_and_the_next_one_goes_on(monkeypatch):
    client, sockets = SinkClient("nowhere"), iter("aabb")
    monkeypatch.setattr(
        client.connection, "force_connect", lambda: setattr(client.connection, "socket", next(sockets))
    )
    client.establish_connection(None)
    client.establish_connection(None)
    with pytest.raises(errors.NetworkError, match="the server closed the connection"):
        client.establish_connection(None)
    client.establish_connection(None)


def test_a_row_that_is_added_again_is_no_retry(monkeypatch):
    """The server drops what it has had before, also what was deleted since."""
    destination, tokens = ClickHouse(ClickHouseSettings()), []
    monkeypatch.setattr(destination, "_insert", lambda *given: tokens.append(given[2].get(TOKEN)))
    for _ in range(2):
        destination.add(silver.ROUTE, silver.ROUTE.schema.empty_table())
    assert None not in tokens
    assert len(set(tokens)) == 2


TOKEN = "insert_deduplication_token"
