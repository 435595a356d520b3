"""Answer one HTTP request with the engine, in a session of its own."""

import re
from dataclasses import dataclass, field
from typing import Any

from .engine import SYNTAX_ERROR, Engine, QueryError, apply_settings, not_implemented, run
from .statements import identifier, split_format

# Parameters of ClickHouse's HTTP interface that are no settings and mean nothing to one local user.
IGNORED = {"user", "password", "role", "quota_key", "query_id", "client_protocol_version"} | {
    *("session_id", "session_timeout", "session_check", "wait_end_of_query", "buffer_size"),
    *("compress", "decompress"),
}
INSERT_WITH_DATA = re.compile(rb"(\s*INSERT\b[^\n]*?\bFORMAT\s+\w+)[ \t]*;?\r?\n", re.I)


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    status: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def answer(engine: Engine, request: Request) -> Response:
    """Run the request's statement. Raises QueryError, and RuntimeError of the engine."""
    sql, data = _statement(request)
    if not sql.strip():
        return Response("200 OK", b"Ok.\n")  # / and /ping
    parameters = request.parameters
    for name in ("compress", "decompress"):
        if parameters.get(name, "0") != "0":
            raise not_implemented(f"{name}=1 is not supported: use Content-Encoding")
    values = {name[6:]: value for name, value in parameters.items() if name.startswith("param_")}
    ours = {"query", "database", "default_format", *IGNORED}
    settings = {n: v for n, v in parameters.items() if n not in ours and not n.startswith("param_")}
    with engine.session() as session:
        database = parameters.get("database") or request.headers.get("x-clickhouse-database")
        if database:
            session.query(f"USE {identifier(database)}")
        apply_settings(session, settings, [])
        if data is not None:
            return Response("200 OK", _insert(session, sql, data))
        timezone = run(session, "SELECT timezone()", "TSVRaw").decode().strip()
        select, named = split_format(sql)
        default = request.headers.get("x-clickhouse-format") or parameters.get("default_format")
        format_ = named or default or "TabSeparated"
        kind = "application/json" if format_.startswith("JSON") else "text/plain; charset=UTF-8"
        headers = {"Content-Type": kind, "X-ClickHouse-Format": format_, "X-ClickHouse-Timezone": timezone}
        return Response("200 OK", run(session, select, format_, values or None), headers)


def failure(error: QueryError) -> Response:
    """What ClickHouse answers when a statement fails: the code in a header, the message as the body."""
    headers = {"X-ClickHouse-Exception-Code": str(error.code), "Content-Type": "text/plain; charset=UTF-8"}
    return Response("500 Internal Server Error", f"{error}\n".encode(), headers)


def _statement(request: Request) -> tuple[str, bytes | None]:
    """The statement, and the data of an INSERT when they are apart from it."""
    sql = request.parameters.get("query")
    if sql is None:
        match = INSERT_WITH_DATA.match(request.body)
        return (_text(match[1]), request.body[match.end() :]) if match else (_text(request.body), None)
    if request.body and re.match(r"\s*INSERT\b", sql, re.I):
        return sql, request.body
    return "\n".join(filter(None, (sql, _text(request.body)))), None


def _insert(session: Any, sql: str, data: bytes) -> bytes:
    head, format_ = split_format(sql)
    if format_ is None:  # INSERT ... VALUES, with the values in the body
        return run(session, f"{sql}\n{_text(data)}")
    inserter = session.send_insert(head, format_)
    try:
        inserter.append(data)
        inserter.finish()
    finally:
        inserter.cancel()
    return b""


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise QueryError(SYNTAX_ERROR, "DB::Exception: The statement is not UTF-8. (SYNTAX_ERROR)") from error
