from k2stream.platform.restarts import LONGEST_SECONDS, STEADY_SECONDS, Restarts


def delays(runs):
    """Seconds waited after each of runs that lasted so long."""
    now, state, waited = 1000.0, Restarts(), []
    for seconds in runs:
        started, now = now, now + seconds
        state = state.ended(started, now)
        assert state.at is not None
        waited.append(state.at - now)
        now, state = state.at, state.again()
    return waited


def test_restarts_come_ever_later_and_never_end():
    """The 21st one ended all feeds."""
    waited = delays([0.5] * 40)
    assert waited[:8] == [0, 1, 2, 4, 8, 16, 32, 60]
    assert set(waited[8:]) == {LONGEST_SECONDS}


def test_a_process_that_ran_well_is_forgiven():
    """A restart a day was counted for ever."""
    assert delays([STEADY_SECONDS] * 30) == [0.0] * 30
    assert delays([1, 1, 1, STEADY_SECONDS, 1]) == [0, 1, 2, 0, 1]


def test_while_it_runs_nothing_is_due():
    assert Restarts().ended(0, 1).again().at is None
