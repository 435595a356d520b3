"""What clients of these tests ask for, and what they got of it."""

import msgspec

MINUTE = 60_000
T0 = 1_799_999_940_000


def subscribe(first, since=None, name=1, channel="candles", **more):
    wanted = {"exchange": first.exchange, "symbol": first.canonical, **more}
    asked = {"op": "subscribe", "id": name, "channel": channel, **wanted}
    return msgspec.json.encode(asked if since is None else {**asked, "since": since})


def windows(inbox):
    """Open time and revision of the candles that an inbox has."""
    return [(each["candle"]["open_time"], each["candle"]["revision"]) for each in inbox.of("candle")]
