"""Answers one HTTP request with the engine, in its own session."""

from contextlib import closing
from dataclasses import dataclass, field

from k2stream.embedded.clickhouse.engine import (
    SYNTAX_ERROR,
    QueryError,
    ServerEngine,
    Session,
    apply_settings,
    not_implemented,
    run,
)
from k2stream.embedded.clickhouse.inserts import insert_bytes
from k2stream.embedded.clickhouse.statements import Insert, identifier, parse, split_data, split_format

# Parameters that are not settings: handled here, or without meaning for a single local user.
OTHER_PARAMETERS = {"query", "database", "default_format", "compress", "decompress"} | {
    *("user", "password", "role", "quota_key", "query_id", "session_id", "session_timeout", "session_check"),
    *("client_protocol_version", "wait_end_of_query", "buffer_size"),
}


@dataclass(frozen=True, slots=True)
class HttpRequest:
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


def answer(engine: ServerEngine, request: HttpRequest) -> Response:
    """Run the request's statement. Raises QueryError, or the engine's RuntimeError."""
    inserted = _insert(request)
    sql = "" if inserted else _text(b"\n".join((request.parameters.get("query", "").encode(), request.body)))
    if not inserted and not sql.strip():
        return Response("200 OK", b"Ok.\n")  # / and /ping
    for name in ("compress", "decompress"):
        if request.parameters.get(name, "0") != "0":
            raise not_implemented(f"{name}=1 is not supported: use Content-Encoding")
    with closing(engine.session()) as session:
        if database := request.parameters.get("database") or request.headers.get("x-clickhouse-database"):
            session.query(f"USE {identifier(database)}")
        settings = {name: value for name, value in request.parameters.items() if _is_setting(name)}
        apply_settings(session, settings, [])
        if inserted:
            insert_bytes(session, *inserted, engine.folder)
            return Response("200 OK", b"")
        return _result(session, sql, request)


def failure(error: QueryError) -> Response:
    """ClickHouse's response to a failed statement: the code in a header, the message as the body."""
    headers = {"X-ClickHouse-Exception-Code": str(error.code), "Content-Type": "text/plain; charset=UTF-8"}
    return Response("500 Internal Server Error", f"{error}\n".encode(), headers)


def _insert(request: HttpRequest) -> tuple[Insert, bytes] | None:
    """The INSERT and its data: the statement in the URL, or both in the body; None for other statements."""
    sql = request.parameters.get("query")
    if sql is None:
        return split_data(request.body)
    statement = parse(sql)
    return (
        (statement, request.body)
        if isinstance(statement, Insert)
        else split_data(sql.encode() + request.body)
    )


def _is_setting(parameter: str) -> bool:
    return parameter not in OTHER_PARAMETERS and not parameter.startswith("param_")


def _result(session: Session, sql: str, request: HttpRequest) -> Response:
    sql, named = split_format(sql)
    default = request.headers.get("x-clickhouse-format") or request.parameters.get("default_format")
    format_ = named or default or "TabSeparated"
    values = {name[6:]: value for name, value in request.parameters.items() if name.startswith("param_")}
    headers = {
        "Content-Type": "application/json" if format_.startswith("JSON") else "text/plain; charset=UTF-8",
        "X-ClickHouse-Format": format_,
        "X-ClickHouse-Timezone": run(session, "SELECT timezone()", "TSVRaw").decode().strip(),
    }
    return Response("200 OK", run(session, sql, format_, values or None), headers)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise QueryError(SYNTAX_ERROR, "DB::Exception: The statement is not UTF-8. (SYNTAX_ERROR)") from error
