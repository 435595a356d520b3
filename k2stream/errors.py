"""Errors that are told to a person in one line, without a traceback."""


class ConfigError(Exception):
    """A setting, file or argument is wrong: the message names what, where and what to do."""
