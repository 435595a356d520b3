"""Reads secrets from files, e.g. `K2_CLICKHOUSE_PASSWORD_FILE=/run/secrets/clickhouse`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from k2stream.model.errors import ConfigError
from k2stream.settings.kinds import is_secret
from k2stream.settings.local import absolute
from k2stream.settings.variables import Variable, variables

SUFFIX = "_FILE"


def file_variables() -> dict[str, Variable]:
    """Secret settings, by the environment variable that may name their file."""
    secrets = (variable for variable in variables().values() if is_secret(variable.kind))
    return {variable.environment_name + SUFFIX: variable for variable in secrets}


def given(environ: Mapping[str, str]) -> dict[str, Path]:
    """Files that the environment names, by the public name of the secret.

    Raises ConfigError when both a secret and its file are set, or a file's name is empty.
    """
    found = {}
    for key, variable in file_variables().items():
        if key in environ:
            if variable.environment_name in environ:
                raise ConfigError(f"{variable.environment_name} and {key} are both set: keep one of them")
            if not environ[key]:
                raise ConfigError(f"{key} names no file")
            found[variable.name] = absolute(environ[key])
    return found


def read(name: str, path: Path) -> str:
    """Read a secret from a file, without its final newline.

    Raises ConfigError naming the variable when the file is unreadable, not UTF-8, or empty.
    """
    where = f"{variables()[name].environment_name}{SUFFIX}={str(path)!r}"
    try:
        secret = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{where}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: not text in UTF-8") from None
    secret = secret.removesuffix("\n").removesuffix("\r")
    if not secret.strip():
        raise ConfigError(f"{where}: the file is empty")
    return secret
