"""When dead letters cannot be replayed."""

from k2stream.deadletter import DeadLetter
from k2stream.model.errors import K2Error


class Refused(K2Error):
    """A dead letter that cannot be replayed; the message says why."""


def check_passed(letter: DeadLetter, offset: int) -> None:
    """Raise Refused unless the letter's reader, which reads on at `offset`, has passed its record.

    A reader that was killed after its letter reads the record again: replayed before, it is there twice.
    """
    if offset <= letter.offset:
        where = f"{letter.topic}[{letter.partition}] offset {letter.offset}"
        raise Refused(
            f"{letter.stage} has not passed {where} yet, and reads it again itself: start the worker, then "
            "try again"
        )
