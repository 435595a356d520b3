"""Errors that are told to a person in one line, without a traceback."""

import click


class ConfigError(click.ClickException):
    """A setting, file or argument is wrong: the message names what, where and what to do.

    A click exception, so that both `k2` and plain `faust` print it as one line and exit with 1.
    """

    def __str__(self) -> str:
        return self.message
