"""Classifies statements, as far as the server must treat them differently. Pure."""

import re
from dataclasses import dataclass

_NAME = r"(?:`[^`]+`|\"[^\"]+\"|\w+)"
_STRING = r"'(?:[^'\\]|\\.)*'"
_ARGUMENTS = rf"\((?:[^()']|{_STRING}|\((?:[^()']|{_STRING})*\))*\)"
_SETTING = rf"\w+\s*=\s*(?:{_STRING}|[^\s',]+)"
_COMMENTS = re.compile(r"^(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)+", re.S)
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.I)
_SELECT = re.compile(r"\(|(?:SELECT|WITH|VALUES)\b", re.I)
_INSERT = re.compile(
    rf"""(?P<target>INSERT\s+INTO\s+(?:TABLE\s+)?
    (?:FUNCTION\s+(?P<function>\w+\s*{_ARGUMENTS})|(?P<table>{_NAME}(?:\s*\.\s*{_NAME})?))\s*
    (?:\((?P<columns>(?:[^()`"]|`[^`]*`|"[^"]*"|\([^()]*\))*)\)\s*)?)
    (?P<settings>SETTINGS\s+{_SETTING}(?:\s*,\s*{_SETTING})*\s+)?
    \b(?:VALUES|FORMAT\s+(?P<format>\w+))\s*;?\s*$""",
    re.I | re.S | re.X,
)
_INLINE_DATA = re.compile(rb"(\s*INSERT\b.*?\bFORMAT\s+(?!VALUES\b)\w+)(?:[ \t]*\r?\n|\s)", re.I | re.S)


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT whose data are sent separately."""

    target: str  # INSERT INTO with table and columns
    settings: str  # its SETTINGS clause, possibly empty
    format: str  # data format named in the statement
    describe: str  # statement that returns the expected columns


@dataclass(frozen=True, slots=True)
class Select:
    """A query, whose result is streamed because it can be long."""

    sql: str


@dataclass(frozen=True, slots=True)
class Command:
    """Any other statement: DDL, SHOW, SET, or an INSERT that contains its data or a SELECT."""

    sql: str


def parse(sql: str) -> Insert | Select | Command:
    """Classify a statement of a native client."""
    sql = _COMMENTS.sub("", sql)
    if match := _INSERT.match(sql):
        source, columns = match["function"] or match["table"], match["columns"]
        columns_of = f"(SELECT {columns} FROM {source})" if columns else f"TABLE {source}"
        target, settings = match["target"].strip(), (match["settings"] or "").strip()
        return Insert(target, settings, match["format"] or "Values", f"DESCRIBE {columns_of}")
    if re.match(r"INSERT\b", sql, re.I):
        return Command(sql)
    if _SELECT.match(sql) and not re.search(r"\bINTO\s+OUTFILE\b", sql, re.I):
        return Select(split_format(sql)[0].rstrip("; \t\r\n"))
    return Command(split_format(sql)[0])


def split_data(text: bytes) -> tuple[Insert, bytes] | None:
    """Split an INSERT from the data that follow its FORMAT clause; None for other statements.

    The engine itself would end such data at a blank line.
    """
    match = _INLINE_DATA.match(text)
    statement = parse(match[1].decode(errors="replace")) if match else None
    return (statement, text[match.end() :]) if match and isinstance(statement, Insert) else None


def split_format(sql: str) -> tuple[str, str | None]:
    """Split off a trailing FORMAT clause; returns the statement and the format, None if there is none."""
    match = _FORMAT.search(sql)
    return (sql[: match.start()], match[1]) if match else (sql, None)


def quote(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def identifier(name: str) -> str:
    """A quoted identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
