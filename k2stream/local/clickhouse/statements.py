"""What a statement is, as far as the server must treat it differently. Pure."""

import re
from dataclasses import dataclass

_NAME = r"(?:`[^`]+`|\"[^\"]+\"|\w+)"
_COMMENTS = re.compile(r"^(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)+", re.S)
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.I)
_SELECT = re.compile(r"\(|(?:SELECT|WITH|VALUES)\b", re.I)
_INSERT = re.compile(
    rf"""(?P<head>INSERT\s+INTO\s+(?:TABLE\s+)?
    (?:FUNCTION\s+(?P<function>\w+\s*\(.+?\))|(?P<table>{_NAME}(?:\s*\.\s*{_NAME})?))\s*
    (?:\((?P<columns>.*?)\)\s*)?(?:SETTINGS\s+.+?)?)\b(?:VALUES|FORMAT\s+\w+)\s*;?\s*$""",
    re.I | re.S | re.X,
)


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT whose data follows in blocks."""

    head: str  # all but the format
    describe: str  # the statement that tells the columns expected


@dataclass(frozen=True, slots=True)
class Select:
    """A query whose result can be long."""

    sql: str


@dataclass(frozen=True, slots=True)
class Command:
    """Anything else: DDL, SHOW, SET, INSERT with its data or SELECT inside."""

    sql: str


def parse(sql: str) -> Insert | Select | Command:
    """Classify a statement as a native client sends it."""
    sql = _COMMENTS.sub("", sql)
    if match := _INSERT.match(sql):
        source, columns = match["function"] or match["table"], match["columns"]
        columns_of = f"(SELECT {columns} FROM {source})" if columns else f"TABLE {source}"
        return Insert(match["head"], f"DESCRIBE {columns_of}")
    if re.match(r"INSERT\b", sql, re.I):
        return Command(sql)
    if _SELECT.match(sql) and not re.search(r"\bINTO\s+OUTFILE\b", sql, re.I):
        return Select(split_format(sql)[0].rstrip("; \t\r\n"))
    return Command(split_format(sql)[0])


def split_format(sql: str) -> tuple[str, str | None]:
    """The statement without its trailing FORMAT clause, and that format."""
    match = _FORMAT.search(sql)
    return (sql[: match.start()], match[1]) if match else (sql, None)


def quote(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def identifier(name: str) -> str:
    """A quoted identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
