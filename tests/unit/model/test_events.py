"""Feed events as records."""

import msgspec

from k2stream.model import events
from k2stream.model.events import EventKind, FeedEvent


def test_what_others_say_in_an_event_is_cut():
    event = FeedEvent(kind=EventKind.EXCHANGE_ERROR, exchange="kraken", time=1, detail="x" * 2_000_000)
    assert len(events.encode(event)) < 3000
    assert events.encode(msgspec.structs.replace(event, detail="short")).endswith(b"}")
