"""Messages of all kinds to the two WebSockets, over a real socket: each is answered, and none breaks it."""

import json
import logging
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from k2stream.service.mirror import session
from tests.unit.security.served import LISTED, serving

NAMES = [*(item.canonical for item in LISTED[:3]), "*", "nothing", ""]
STREAMS = ["btcusdt@trade", "btcusdt@kline_1m", "btcusdt@kline_1d@+08:00", "!miniTicker@arr", "@", "x@y@z"]

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
DEEP = [opening * 8_000 for opening in ("[", '{"x":', '[{"op":')]
OWN = st.fixed_dictionaries(
    {"op": st.sampled_from(["subscribe", "unsubscribe", "list", "buy"]) | JSON},
    optional={
        "id": st.integers(0, 5) | JSON,
        "channel": st.sampled_from(["candles", "trades", "health"]) | JSON,
        "exchange": st.sampled_from(["binance", "kraken", "*"]) | JSON,
        "symbol": st.sampled_from(NAMES) | JSON,
        "timeframe": st.sampled_from(["1m", "4h", "0m", "99999999999w"]) | JSON,
        "tz": st.sampled_from(["UTC", "Asia/Tokyo", "../../etc/passwd", "\0"]) | JSON,
        "since": st.integers(-1, 2**60) | st.text(max_size=200) | JSON,
        "more": JSON,
    },
)
MIRROR = st.fixed_dictionaries(
    {"method": st.sampled_from(session._METHODS) | JSON},
    optional={
        "id": st.integers(0, 5) | JSON,
        "params": st.lists(st.sampled_from(STREAMS) | JSON, max_size=4) | JSON,
    },
)


def texts(messages):
    """Messages as JSON, cut off, in bytes, nested too deeply, or no JSON at all."""
    encoded = messages.map(json.dumps)
    cut = st.tuples(encoded, st.integers(0, 60)).map(lambda pair: pair[0][: pair[1]])
    return (
        encoded
        | cut
        | encoded.map(str.encode)
        | st.text(max_size=200)
        | st.binary(max_size=200)
        | st.sampled_from(DEEP)
    )


@pytest.fixture(scope="module")
def service():
    """One for all messages: it must survive them all."""
    with serving() as made:
        yield made


QUIET = ("Traceback", "Exception in ASGI", "a stream failed", "RecursionError")
FUZZED = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


def answered(url, messages, ask, is_answer):
    """Send messages, then ask; whether the answer comes, or else the code with which the server closed."""
    with connect(url, max_size=None, open_timeout=20) as socket:
        try:
            for message in messages:
                socket.send(message)
            socket.send(ask)
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                if is_answer(json.loads(socket.recv(20))):
                    return True
        except ConnectionClosed as closed:
            assert closed.rcvd is not None, "the connection broke off"
            return closed.rcvd.code
    return False


@given(st.lists(texts(OWN), max_size=5))
@FUZZED
def test_messages_to_the_stream(service, caplog, messages):
    """No JSON ends the connection with 1007, as docs/stream.md says; all else is answered."""
    caplog.set_level(logging.INFO)
    url = f"ws://127.0.0.1:{service.port}/v1/stream"
    found = answered(url, messages, '{"op":"list"}', lambda message: message["op"] == "list")
    assert found is True or found == 1007
    assert not any(word in caplog.text for word in QUIET)


@given(st.lists(texts(MIRROR), max_size=4), st.sampled_from(["/ws", "/stream", "/kraken/ws"]))
@FUZZED
def test_messages_to_the_mirror(service, caplog, messages, path):
    """All is answered, as the API that is mirrored answers it."""
    caplog.set_level(logging.INFO)
    ask = '{"method":"LIST_SUBSCRIPTIONS","id":"the last"}'
    url = f"ws://127.0.0.1:{service.port}{path}"
    assert answered(url, messages, ask, lambda message: message.get("id") == "the last") is True
    assert not any(word in caplog.text for word in QUIET)


@given(st.text(max_size=100).filter(lambda text: text.isprintable()))
@settings(FUZZED, max_examples=25)
def test_streams_that_a_url_names(service, caplog, name):
    """They are opened or refused; neither is a fault of the server."""
    caplog.set_level(logging.INFO)
    from urllib.parse import quote

    for path in (f"/ws/{quote(name)}", f"/stream?streams={quote(name)}", f"/{quote(name)}/ws"):
        status = opened(f"ws://127.0.0.1:{service.port}{path}")
        assert status == 101 or 400 <= status < 500, path
    assert not any(word in caplog.text for word in QUIET)


def opened(url):
    """The status of the handshake."""
    from websockets.exceptions import InvalidStatus

    try:
        with connect(url, open_timeout=20):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code
