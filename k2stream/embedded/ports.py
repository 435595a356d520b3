"""TCP ports on 127.0.0.1."""

from __future__ import annotations

import random
import socket

from k2stream.embedded.errors import StackError

HOST = "127.0.0.1"
# Below Linux's ephemeral range: otherwise a client that polls a port before its server listens may get the
# same port as source, connect to itself and keep the server from binding.
_RANGE = range(20_000, 32_000)
_ATTEMPTS = 1_000
_NEIGHBOURS = 100


def is_free(port: int) -> bool:
    """Whether a server could bind the port now; connections in TIME_WAIT do not matter."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen()  # two may be bound to a port, one listens
        except OSError:
            return False
    return True


def free_port(taken: frozenset[int] = frozenset()) -> int:
    """A free port not in `taken`, chosen at random so that concurrent callers rarely collide.

    Raises StackError when none is found.
    """
    for port in random.sample(_RANGE, _ATTEMPTS):
        if port not in taken and is_free(port):
            return port
    raise StackError(f"no free port on {HOST} between {_RANGE.start} and {_RANGE.stop}: stop some servers")


def next_free(port: int) -> int:
    """The first free port from `port` on. Raises StackError when none of the next hundred is."""
    for candidate in range(port, port + _NEIGHBOURS):
        if is_free(candidate):
            return candidate
    raise StackError(f"no free port on {HOST} from {port} to {port + _NEIGHBOURS - 1}: stop some servers")


def check_free(port: int, setting: str) -> int:
    """Return the port if it is free. Raises StackError naming the port and the setting if it is in use."""
    if not is_free(port):
        raise StackError(
            f"{setting}={port}: the port is in use on {HOST}; stop what listens there or choose another"
        )
    return port
