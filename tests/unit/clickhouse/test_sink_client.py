"""The sink's client says that it had to connect again."""

import pytest
from clickhouse_driver import errors

from k2stream.clickhouse.destination import SinkClient


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
