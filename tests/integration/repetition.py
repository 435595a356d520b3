"""One test in two lengths: short in every run, long in `make fault`."""

import pytest


def repeated(**lengths: tuple[object, object]) -> pytest.MarkDecorator:
    """Parametrize by one name: (ordinary value, value of the run marked `fault`)."""
    ((name, (short, long)),) = lengths.items()
    return pytest.mark.parametrize(name, [short, pytest.param(long, marks=pytest.mark.fault)])
