"""Recorded trades in frames of one trade each."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from k2stream.simulator.protocol import Relay
from k2stream.simulator.wire import Message, Subscriber

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_CHANNEL = msgspec.json.Decoder(str)


def framed(text: bytes, field: str) -> Relay:
    """A relay whose frames are `text`, which takes the lower-case symbol, the channel and the trade's JSON.

    The channel is the value of the trade's `field`.
    """

    def relay(client: Subscriber, symbol: str, trades: Sequence[bytes], now_us: int) -> list[Message]:
        messages = []
        for body in trades:
            channel = _CHANNEL.decode(_FIELDS.decode(body)[field])
            if client.wants(channel, symbol):
                frame = text % (symbol.lower().encode(), channel.encode(), body)
                messages.append(Message(frame, symbol, 0, 1))
        return messages

    return relay
