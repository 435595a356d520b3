"""Whatever an exchange answers, in any order: a symbol is up only by a yes that is its own."""

from hypothesis import given
from hypothesis import strategies as st

from k2stream.exchanges.spec import Answer, Request, Subscription
from k2stream.feed.subscriptions import Subscriptions
from k2stream.model.events import EventKind

SYMBOLS = ("A", "B", "C")
UP, DOWN = (EventKind.CONNECTED, EventKind.SUBSCRIBED), (EventKind.REFUSED, EventKind.WITHDRAWN)
SAID = (Subscription.CONFIRMED, Subscription.REFUSED, Subscription.WITHDRAWN)

named = st.lists(st.sampled_from((*SYMBOLS, "other")), max_size=3, unique=True).map(tuple)
answers = st.one_of(
    st.tuples(st.sampled_from(SAID), named).map(lambda said: Answer(*said)),
    named.map(lambda symbols: Answer(Subscription.CONFIRMED, symbols, complete=True)),
    st.tuples(st.sampled_from(SAID[:2]), st.integers(1, 6)).map(
        lambda said: Answer(said[0], request=said[1])
    ),
)
steps = st.lists(st.one_of(answers, st.sampled_from(("ask", "late"))), max_size=25)


@given(steps)
def test_what_is_told_is_what_is_subscribed(taken):
    up_until = dict.fromkeys(SYMBOLS, 7)
    kept = Subscriptions(SYMBOLS, up_until)
    kept.ask(Request("", SYMBOLS, 1))
    number, up, first = 1, set(), True
    for time, step in enumerate(taken, 100):
        before = dict(kept.states)
        if step == "ask":
            number += 1
            kept.ask(Request("", tuple(kept.down), number))
            changes = []
        elif step == "late":
            changes = kept.unanswered(SYMBOLS, time)
        else:
            changes = kept.answer(step, "no", time)
        for symbol, state in kept.states.items():
            if state is Subscription.CONFIRMED and before[symbol] is not state:
                assert symbol in step.symbols or step.request
                assert step.state is Subscription.CONFIRMED
        for change in changes:
            concerned = {change.symbol} if change.symbol else set(SYMBOLS)
            if change.kind in UP:
                again = change.kind is EventKind.CONNECTED and change.since == time
                assert again or all(change.since == up_until[symbol] for symbol in concerned)
                assert not again or up == concerned
                up |= concerned
            else:
                assert change.kind in DOWN and change.detail
                up -= concerned
        waits = Subscription.ASKED in kept.states.values()
        first = first and waits
        if not first:
            assert up == {symbol for symbol, state in kept.states.items() if state is Subscription.CONFIRMED}
        assert kept.whole == (len(up) == len(SYMBOLS)) or first
    kept.closed(1000)
    for symbol in SYMBOLS:
        assert (up_until[symbol] == 1000) == (symbol in up)
        assert up_until[symbol] == 7 or up_until[symbol] >= 100
