"""`k2 sql`, `k2 schemas` and `k2 completion` without a server."""

import json

import click
import pytest
from click.testing import CliRunner

from k2stream.avro import wire
from k2stream.cli import main
from k2stream.commands import sql
from k2stream.commands.schemas import subject_schema

READING = [
    "SELECT 1",
    "select 1;",
    "-- why\nSELECT 1",
    "/* a */ (SELECT 1)",
    "WITH 1 AS x SELECT x",
    "SELECT 'INSERT INTO'",
    "SHOW TABLES",
]
WRITING = [
    "INSERT INTO t VALUES (1)",
    "-- SELECT\nDROP TABLE t",
    "/* SELECT */ TRUNCATE TABLE t",
    "SET readonly = 0",
    "WITH 1 AS x INSERT INTO t SELECT x",
    "SELECT 1 INTO OUTFILE 'file'",
]


@pytest.mark.parametrize("query", READING)
def test_what_only_reads_needs_no_option(query):
    sql.check(query, write=False)


@pytest.mark.parametrize("query", WRITING)
def test_what_may_change_something_needs_one(query):
    with pytest.raises(click.UsageError, match="give --write to allow it"):
        sql.check(query, write=False)
    sql.check(query, write=True)


@pytest.mark.parametrize("query", ["", "  \n", "-- nothing"])
def test_there_has_to_be_a_query(query):
    with pytest.raises(click.UsageError, match="there is no query"):
        sql.check(query, write=True)


@pytest.mark.parametrize(
    "text", ["CREATE USER a IDENTIFIED BY 'x'", "SELECT * FROM s3('…', 'id', 'my_Secret')"]
)
def test_a_statement_with_a_secret_is_not_kept(text):
    assert sql._SECRET.search(text)


def test_a_prompt_runs_statements_of_several_lines_and_keeps_them(tmp_path, monkeypatch):
    lines = iter(["SELECT", "  1;", "SELECT 'password';", "\\q"])
    monkeypatch.setattr("builtins.input", lambda _: next(lines))
    asked = []
    from k2stream.commands.output import Printer

    history = tmp_path / "cache" / "sql_history"
    sql._prompt(asked.append, history, Printer(as_json=False))
    assert asked == ["SELECT\n  1;", "SELECT 'password';"]
    assert "SELECT 1;" in history.read_text() and "password" not in history.read_text()
    assert history.stat().st_mode & 0o077 == 0


def test_the_registry_agrees_when_its_newest_version_is_the_file():
    declared = wire.declared("trade")
    older = {**declared, "fields": declared["fields"][:-1]}
    assert subject_schema("t-value", "trade", {1: older, 2: declared}).agrees is True
    assert subject_schema("t-value", "trade", {2: declared, 3: older}).agrees is False
    assert subject_schema("t-value", "trade", {}).agrees is None
    assert subject_schema("t-value", "trade", None).versions is None
    assert subject_schema("t-value", "trade", None).fields["price"] == "decimal(38, 18)"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_completion(shell):
    script = CliRunner().invoke(main, ["completion", shell]).stdout
    assert "_K2_COMPLETE" in script
    assert json.loads(CliRunner().invoke(main, ["completion", shell, "--json"]).stdout)["shell"] == shell


def test_completion_answers_with_commands_and_options():
    env = {"_K2_COMPLETE": "bash_complete", "COMP_WORDS": "k2 ca", "COMP_CWORD": "1"}
    assert CliRunner().invoke(main, prog_name="k2", env=env).stdout.split() == ["plain,candles"]
    env |= {"COMP_WORDS": "k2 topics --j", "COMP_CWORD": "2"}
    assert "plain,--json" in CliRunner().invoke(main, prog_name="k2", env=env).stdout
