"""Reads the settings of this process from `K2_*` variables, and writes them for its children."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache

import msgspec

from k2stream.model.errors import ConfigError
from k2stream.settings import secret_files, security
from k2stream.settings.kinds import expected, shown
from k2stream.settings.sections import Settings
from k2stream.settings.variables import PREFIX, Variable, replace, variables


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `K2_*` variables.

    Raises ConfigError naming the variable when a value has a wrong type or range, a setting does not exist,
    the file of a secret cannot be read, or settings of TLS and credentials cannot be used together.
    """
    environ = os.environ if environ is None else environ
    known = {variable.environment_name: variable for variable in variables().values()}
    files = secret_files.file_variables()
    for key in environ:
        if key.startswith(PREFIX) and key not in known and key not in files:
            raise ConfigError(
                f"{key} is not a setting of K2 stream: unset it; `k2 settings` lists all that are"
            )
    values = {
        variable.name: _converted(variable, environ[key]) for key, variable in known.items() if key in environ
    }
    named = secret_files.given(environ)
    values |= {name: secret_files.read(name, path) for name, path in named.items()}
    settings = replace(Settings(), **values)
    security.check(settings)
    return msgspec.structs.replace(settings, secret_files={name: str(path) for name, path in named.items()})


def _converted(variable: Variable, text: str) -> object:
    try:
        return msgspec.convert(text, variable.kind, strict=False)
    except msgspec.ValidationError as error:
        wanted = expected(variable.kind)
        reason = f" is not {wanted}: correct or unset it" if wanted else f": {error}"
        raise ConfigError(f"{variable.environment_name}={shown(variable.kind, text)!r}{reason}") from None


def environment(settings: Settings) -> dict[str, str]:
    """The `K2_*` variables that give a child process these settings; defaults are left out.

    A secret that was read from a file is passed as the name of that file.
    """
    default = Settings()
    given = {}
    for name, variable in variables().items():
        value = variable.value_in(settings)
        if name in settings.secret_files:
            given[variable.environment_name + secret_files.SUFFIX] = settings.secret_files[name]
        elif value != variable.value_in(default):
            given[variable.environment_name] = str(value).lower() if isinstance(value, bool) else str(value)
    return given


def listing(settings: Settings, environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Each variable with its displayed value and its source: environment, default, or a file's path."""
    for name, variable in variables().items():
        source = "environment" if variable.environment_name in environ else "default"
        yield (
            variable.environment_name,
            shown(variable.kind, variable.value_in(settings)),
            settings.secret_files.get(name, source),
        )


@cache
def current() -> Settings:
    """The settings of this process, read once."""
    return load()
