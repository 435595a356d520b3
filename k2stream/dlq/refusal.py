"""The error for dead letters that cannot be replayed."""

from k2stream.model.errors import K2Error


class Refused(K2Error):
    """A dead letter that cannot be replayed; the message says why."""
