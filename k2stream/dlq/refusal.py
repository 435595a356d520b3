"""Why a letter does not go back."""

from k2stream.model.errors import K2Error


class Refused(K2Error):
    """A letter that cannot go back, and why."""
