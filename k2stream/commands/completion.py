"""`k2 completion`: the script with which a shell completes commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from k2stream.commands.output import Printer, printed

_VARIABLE = "_K2_COMPLETE"
"""Set by the script when it asks `k2` what may come next."""


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
@printed
def completion(context: click.Context, shell: str, *, out: Printer) -> None:
    """Print the script that completes `k2` in SHELL.

    \b
    bash  eval "$(k2 completion bash)"
    zsh   eval "$(k2 completion zsh)"
    fish  k2 completion fish | source
    """
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, "k2", _VARIABLE).source()
    out.line({"shell": shell, "script": script}, script)
