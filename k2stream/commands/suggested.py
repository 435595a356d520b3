"""Groups of commands that name what a misspelled command may have meant."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import click


class Suggesting(click.Group):
    """A click group that suggests commands as click does options."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command of the arguments. Raises click's UsageError, with the nearest names."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], self.list_commands(ctx), cutoff=0.7)
            if near and "Did you mean" not in error.message:
                names = " or ".join(repr(name) for name in near)
                error.message = f"{error.message.rstrip('.')}. Did you mean {names}?"
            raise
