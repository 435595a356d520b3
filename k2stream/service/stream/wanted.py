"""What a subscription asks for, found among the instruments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from k2stream import topics
from k2stream.history.timeframes import Timeframe
from k2stream.model.instrument import Instrument, Instruments
from k2stream.service.stream import tokens
from k2stream.service.stream.channels import WHOLE
from k2stream.service.stream.messages import StreamRequest
from k2stream.service.stream.tokens import BadToken, Token
from k2stream.settings import KafkaSettings
from k2stream.web.query import RequestError, find, time_of, timeframe_of

ALL = "*"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A subscription's keys by partition; `since` in ms, or the place of a token."""

    request: StreamRequest
    timeframe: Timeframe
    keys: Mapping[int, Sequence[str]]
    instruments: Mapping[str, Instrument]
    """By key; keys of whole exchanges have none."""
    check: int
    since: int | None = None
    token: Token | None = None

    @property
    def all_keys(self) -> list[str]:
        """All keys, sorted."""
        return sorted(key for keys in self.keys.values() for key in keys)

    def partition(self, key: str) -> int:
        """The partition of one of the keys."""
        return next(number for number, keys in self.keys.items() if key in keys)


def wanted(request: StreamRequest, instruments: Instruments, kafka: KafkaSettings) -> Wanted:
    """What a request asks for. Raises RequestError, which says what is possible."""
    timeframe = timeframe_of(request.timeframe, request.tz)
    chosen = _chosen(request, instruments)
    keys: defaultdict[int, list[str]] = defaultdict(list)
    for item in chosen:
        number = topics.partition_of(item.symbol, kafka.raw_partitions(item.exchange))
        keys[0 if request.channel == "health" else number].append(item.key)
    if request.channel == "health":
        keys[0] += {f"{item.exchange}:{WHOLE}": None for item in chosen}
    of = (request.channel, *sorted(key for found in keys.values() for key in found))
    check = tokens.checksum(
        *of, *((timeframe.name, timeframe.zone.key) if request.channel == "candles" else ())
    )
    since, token = _since(request.since, check)
    if token is not None and token.places.keys() != keys.keys():
        raise RequestError(400, "since is a resume token of other partitions: subscribe with a time")
    return Wanted(request, timeframe, dict(keys), {item.key: item for item in chosen}, check, since, token)


def _chosen(request: StreamRequest, instruments: Instruments) -> list[Instrument]:
    if request.exchange != ALL and request.symbol != ALL:
        return [find(instruments, request.exchange, request.symbol)]
    if request.exchange != ALL:
        listed = instruments.for_exchange(request.exchange)
        if not listed:
            find(instruments, request.exchange, request.symbol)
        return listed
    if request.symbol == ALL:
        return list(instruments)
    each = (instruments.find(exchange, request.symbol) for exchange in topics.EXCHANGES)
    found = [item for item in each if item is not None]
    if not found:
        symbols = sorted({item.canonical.replace("/", "-") for item in instruments})
        raise RequestError(404, f"no exchange has a symbol {request.symbol} here", symbols=symbols)
    return found


def _since(since: int | str | None, check: int) -> tuple[int | None, Token | None]:
    if isinstance(since, str):
        if tokens.alike(since):
            try:
                return None, tokens.parse(since, check)
            except BadToken as error:
                raise RequestError(400, str(error)) from None
        try:
            return time_of("since", since), None
        except RequestError as error:
            raise RequestError(400, f"{error}, or a resume token") from None
    if since is not None and not 0 <= since < tokens.LATEST:
        raise RequestError(400, f"since={since} must be ms from 1970 to 2286, or a resume token")
    return since, None
