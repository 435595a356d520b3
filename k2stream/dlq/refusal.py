"""Why a letter does not go back."""


class Refused(Exception):
    """A letter that cannot go back, and why."""
