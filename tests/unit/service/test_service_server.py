"""The port of the service, from the start of a worker on."""

import socket

import pytest

from k2stream.model.errors import ConfigError
from k2stream.service.server import Server


async def answer(scope, receive, send):
    raise AssertionError("nothing is served here")


def test_a_port_that_another_worker_took_is_refused_at_the_start_and_named():
    """Two that start at once are both told of a free port by `bind`: the one that listens has it."""
    first = Server(answer, "127.0.0.1", 0)
    first.bind()
    with pytest.raises(ConfigError, match=f"K2_SERVICE_PORT={first.port}: .*cannot be listened on"):
        Server(answer, "127.0.0.1", first.port).bind()


def test_who_connects_before_it_serves_waits():
    server = Server(answer, "127.0.0.1", 0)
    server.bind()
    socket.create_connection(("127.0.0.1", server.port)).close()
