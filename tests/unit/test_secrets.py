"""Secrets: from files as well, and never shown."""

import pytest
from click.testing import CliRunner

from k2stream import settings
from k2stream.commands.settings import settings as command
from k2stream.model.errors import ConfigError

SECRETS = ("K2_CLICKHOUSE_PASSWORD", "K2_KAFKA_SASL_PASSWORD", "K2_ICEBERG_CATALOG_URI")
URI = "postgresql+psycopg2://k2:hush@postgres:5432/iceberg"


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("hush\n")
    return path


def values(read):
    return read.clickhouse.password, read.kafka.sasl_password, read.iceberg.catalog_uri


@pytest.mark.parametrize("number", range(len(SECRETS)), ids=SECRETS)
def test_a_secret_is_read_from_the_file_that_its_variable_names(secret, number):
    found = values(settings.load({f"{SECRETS[number]}_FILE": str(secret)}))
    assert found == tuple("hush" if place == number else "" for place in range(len(SECRETS)))


@pytest.mark.parametrize(
    ("content", "read"), [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), (" a b \n", " a b "), ("a\n\n", "a\n")]
)
def test_only_the_newline_that_ends_the_file_is_no_part_of_the_secret(secret, content, read):
    secret.write_bytes(content.encode())
    assert settings.load({"K2_CLICKHOUSE_PASSWORD_FILE": str(secret)}).clickhouse.password == read


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n", b" \n", b"\xff\xfe"])
def test_a_file_without_a_secret_is_one_line_with_the_variable(secret, content):
    secret.write_bytes(content)
    check({"K2_CLICKHOUSE_PASSWORD_FILE": str(secret)}, "K2_CLICKHOUSE_PASSWORD_FILE", str(secret))


def test_a_file_that_cannot_be_read_is_one_line_with_the_variable(tmp_path):
    gone = tmp_path / "gone"
    check({"K2_KAFKA_SASL_PASSWORD_FILE": str(gone)}, "K2_KAFKA_SASL_PASSWORD_FILE", "No such file")
    check({"K2_KAFKA_SASL_PASSWORD_FILE": str(tmp_path)}, "K2_KAFKA_SASL_PASSWORD_FILE", "Is a directory")
    check({"K2_KAFKA_SASL_PASSWORD_FILE": ""}, "K2_KAFKA_SASL_PASSWORD_FILE", "names no file")


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_that_is_given_twice_is_one_line_with_both_variables(secret, name):
    check({name: "loud", f"{name}_FILE": str(secret)}, f"{name} and {name}_FILE")


def test_what_is_no_secret_has_no_file(secret):
    check({"K2_KAFKA_BOOTSTRAP_FILE": str(secret)}, "K2_KAFKA_BOOTSTRAP_FILE is not a setting")


def check(given, *expected):
    with pytest.raises(ConfigError) as error:
        settings.load(given)
    assert all(text in str(error.value) for text in expected), error.value
    assert "\n" not in str(error.value)
    assert "hush" not in str(error.value) and "loud" not in str(error.value)


def test_a_child_is_given_the_file_not_the_secret(secret, monkeypatch):
    monkeypatch.chdir(secret.parent)
    read = settings.load({"K2_CLICKHOUSE_PASSWORD_FILE": secret.name, "K2_KAFKA_SASL_PASSWORD": "loud"})
    given = settings.environment(read)
    assert given == {"K2_CLICKHOUSE_PASSWORD_FILE": str(secret), "K2_KAFKA_SASL_PASSWORD": "loud"}
    assert settings.load(given) == read


def test_a_secret_that_is_replaced_is_no_longer_the_files(secret):
    read = settings.load({"K2_CLICKHOUSE_PASSWORD_FILE": str(secret)})
    given = settings.environment(settings.replace(read, clickhouse_password="loud"))
    assert given == {"K2_CLICKHOUSE_PASSWORD": "loud"}
    assert "K2_CLICKHOUSE_PASSWORD_FILE" in settings.environment(settings.replace(read, web_port=1))


def test_no_secret_is_shown(secret, monkeypatch, given_settings):
    secrets = {"K2_CLICKHOUSE_PASSWORD": "hush", "K2_ICEBERG_CATALOG_URI": f"{URI}?password=hush"}
    environ = {**secrets, "K2_KAFKA_SASL_PASSWORD_FILE": str(secret)}
    read = settings.load(environ)
    assert values(read) == ("hush", "hush", f"{URI}?password=hush")
    for text in (repr(read), str(read), f"{read.clickhouse} {read.kafka!r} {read.iceberg}"):
        assert "hush" not in text
        assert "***" in text
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    given_settings(read)
    said = CliRunner(env={"COLUMNS": "200"}).invoke(command).output
    assert "hush" not in said
    rows = {line.split()[0]: line.split()[1:] for line in said.splitlines()}
    assert rows["K2_CLICKHOUSE_PASSWORD"] == ["***", "environment"]
    assert rows["K2_KAFKA_SASL_PASSWORD"] == ["***", str(secret)]
    shown = "postgresql+psycopg2://***@postgres:5432/iceberg?***"
    assert rows["K2_ICEBERG_CATALOG_URI"] == [shown, "environment"]


def test_a_catalog_without_a_secret_is_shown_as_it_is():
    read = settings.load({"K2_ICEBERG_CATALOG_URI": "http://rest:8181"})
    shown = {name: value for name, value, _ in settings.listing(read, {})}
    assert shown["K2_ICEBERG_CATALOG_URI"] == "http://rest:8181"
    assert shown["K2_CLICKHOUSE_PASSWORD"] == ""
