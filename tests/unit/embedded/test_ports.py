import socket

import pytest

from k2stream.embedded.errors import StackError
from k2stream.embedded.ports import HOST, check_free, free_port, is_free


@pytest.fixture
def listening():
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_listened_port_is_not_free_and_is_named(listening):
    assert not is_free(listening)
    with pytest.raises(StackError, match=f"kafka_port={listening}.*in use"):
        check_free(listening, "kafka_port")


def test_a_free_port_can_be_bound_and_avoids_the_taken():
    first = free_port()
    second = free_port(frozenset({first}))
    assert first != second
    with socket.socket() as server:
        server.bind((HOST, first))
    assert check_free(second, "registry_port") == second


def test_free_ports_are_below_the_ephemeral_range():
    assert all(20_000 <= free_port() < 32_000 for _ in range(50))
