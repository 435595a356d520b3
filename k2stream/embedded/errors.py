"""Errors of the embedded stack, with messages for users."""

from k2stream.model.errors import ConfigError


class StackError(ConfigError):
    """A part of the embedded stack cannot start or has died; the message may end with the tail of its log."""
