"""In place of a REST client: answers of a history's real requests, from a list of trades by symbol."""

from k2stream.backfill.client import RestClient
from k2stream.exchanges.rest.spec import HistoryError, Page, Past
from k2stream.model.trade import RawTrade, Reject


class FakeRestClient(RestClient):
    """Answers as the exchanges do; `most` trades of Kraken's at once; rejects for `unreadable` ids."""

    def __init__(self, exchange, trades, most=None, unreadable=()):
        self.history = exchange.history
        self.asked = []
        self.trades = trades
        self.unreadable = set(unreadable)
        self.most = most or self.history.limit

    async def fetch(self, request):
        self.asked.append(request)
        trades = self.trades[request.symbol]
        if isinstance(trades, HistoryError):
            raise trades
        query = request.query
        if "since" in query:
            found = [item for item in trades if item.time * 1000 > int(query["since"])][: self.most]
        elif "fromId" in query:
            found = [item for item in trades if item.id >= int(query["fromId"])][: int(query["limit"])]
        else:
            before = int(query.get("after", 1 << 62))
            found = [item for item in trades if item.id < before][-int(query["limit"]) :]
        rejects = [Reject("bad", b"%d" % item.id) for item in found if item.id in self.unreadable]
        readable = [item for item in found if item.id not in self.unreadable]
        return Page(readable, found[-1].time * 1000 if found else 0, rejects)


def numbered(*numbers, symbol="BTCUSDT", time=lambda number: number):
    body = '{"e":"trade","s":"%s","t":%d,"p":"1.0","q":"1.0","T":1,"m":true,"M":true}'
    return [
        Past(number, time(number), RawTrade(symbol, (body % (symbol, number)).encode())) for number in numbers
    ]


class Offline:
    """A reader of topics without a broker."""

    def __init__(self, settings, *, columnar):
        pass

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass
