"""JSON that is nested too deeply, in every place that reads JSON of others: unreadable, and no more."""

from typing import Any

import httpx
import msgspec
import numpy as np
import pytest

from k2stream import exchanges, faults
from k2stream.batch import TP, RecordBatch
from k2stream.deadletter import DeadLetter
from k2stream.exchanges import raw
from k2stream.exchanges.rest.spec import refusal
from k2stream.exchanges.spec import Kind
from k2stream.layers import certificates, kline_checks
from k2stream.model.errors import UNREADABLE
from k2stream.model.events import FeedEvent
from k2stream.read.rest import RestSource
from k2stream.service.mirror.session import Session
from k2stream.service.stream import tokens
from k2stream.web.health import FeedHealth

DEEP = b'{"x":' + b"[" * 100_000


def test_it_is_too_deep():
    """Or the tests below would show nothing: it is no error of msgspec."""
    with pytest.raises(RecursionError):
        msgspec.json.decode(DEEP)
    with pytest.raises(RecursionError):
        msgspec.json.decode(DEEP, type=FeedEvent)


@pytest.mark.parametrize("exchange", exchanges.REGISTRY.values(), ids=lambda exchange: exchange.name)
def test_a_frame_is_rejected(exchange):
    assert exchange.parse(DEEP).kind is Kind.REJECTED
    assert len(raw.decode(exchange, [DEEP])[1]) == 1


def test_an_answer_of_an_exchange_is_a_refusal_of_a_few_words():
    assert len(str(refusal(400, DEEP))) < 600


@pytest.mark.parametrize(
    "columns", [kline_checks.columns, certificates.columns], ids=["checks", "certificates"]
)
def test_records_that_are_nested_too_deeply_are_unreadable_and_no_more(columns):
    at = np.arange(2)
    batch = RecordBatch(TP("t", 0), at, at, [b"", b""], [DEEP, DEEP])
    rest, _, causes = faults.read(batch, columns)
    assert len(rest) == 0 and set(causes) == {0, 1}


@pytest.mark.parametrize("kind", [FeedEvent, DeadLetter])
def test_what_others_catch_covers_it(kind):
    with pytest.raises(UNREADABLE):
        msgspec.json.decode(DEEP, type=kind)


def test_a_feed_event_is_left_out():
    health = FeedHealth()
    health.take(DEEP, 0, expired=False)
    assert not health.ready


def test_a_request_to_the_mirror_is_answered():
    found: Any = lambda name: None  # noqa: E731
    assert msgspec.json.decode(Session(found, combined=False).answer(DEEP))["error"]["code"] == 3


def test_a_resume_token_is_damaged():
    from base64 import urlsafe_b64encode

    token = "0-1-1." + urlsafe_b64encode(DEEP).decode().rstrip("=")
    with pytest.raises(tokens.BadToken):
        tokens.parse(token, 0)


def test_a_worker_that_answers_with_it_is_none(monkeypatch):
    answer = httpx.MockTransport(lambda request: httpx.Response(200, content=DEEP))
    source = RestSource("http://k2", {"transport": answer})
    with pytest.raises(Exception, match="is not a candles worker's"):
        source.instruments()
