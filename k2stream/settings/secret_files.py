"""Secrets from files: `K2_CLICKHOUSE_PASSWORD_FILE=/run/secrets/clickhouse` in place of the password."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from k2stream.model.errors import ConfigError
from k2stream.settings.kinds import is_secret
from k2stream.settings.local import absolute
from k2stream.settings.variables import Variable, variables

SUFFIX = "_FILE"


def file_variables() -> dict[str, Variable]:
    """The secrets by the environment variables that may name their files."""
    secrets = (variable for variable in variables().values() if is_secret(variable.kind))
    return {variable.environment_name + SUFFIX: variable for variable in secrets}


def given(environ: Mapping[str, str]) -> dict[str, Path]:
    """The files that an environment names, by the secrets' public names.

    Raises ConfigError when a secret is given twice, or no file is named.
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
    """The secret in a file, without the newline that ends it. Raises ConfigError naming the variable."""
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
