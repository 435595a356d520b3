"""Secrets: from files as well, and never shown."""

import pytest
from click.testing import CliRunner

from k2stream import settings
from k2stream.commands.settings import settings as command
from k2stream.model.errors import ConfigError
from k2stream.settings.secret_files import file_variables
from k2stream.settings.variables import variables

SECRETS = ("K2_CLICKHOUSE_PASSWORD", "K2_KAFKA_SASL_PASSWORD", "K2_ICEBERG_CATALOG_URI")
LOGIN = {
    "K2_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "K2_KAFKA_SASL_MECHANISM": "PLAIN",
    "K2_KAFKA_SASL_USERNAME": "k2",
}
NEEDED = {
    "K2_KAFKA_SASL_PASSWORD": LOGIN,
    "K2_REGISTRY_PASSWORD": {"K2_REGISTRY_USERNAME": "k2"},
    "K2_ICEBERG_S3_SECRET_ACCESS_KEY": {"K2_ICEBERG_S3_ACCESS_KEY_ID": "k2"},
}
"""What a secret is refused without."""

DIGEST = "ab" * 32
URI = "postgresql+psycopg2://k2:hush@postgres:5432/iceberg"


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("hush\n")
    return path


def values(read):
    return read.clickhouse.password, read.kafka.sasl_password, read.iceberg.catalog_uri


@pytest.mark.parametrize("variable", file_variables().values(), ids=lambda found: found.name)
def test_a_secret_is_read_from_the_file_that_its_variable_names(secret, variable):
    value = {"service_keys": DIGEST, "iceberg_catalog_uri": URI}.get(variable.name, "hush")
    secret.write_text(f"{value}\n")
    name = variable.environment_name
    read = settings.load({f"{name}_FILE": str(secret), **NEEDED.get(name, {})})
    found = {each.name: each.value_in(read) for each in file_variables().values()}
    assert {name: value for name, value in found.items() if value} == {variable.name: value}
    shown = {name: value for name, value, _ in settings.listing(read, {})}
    assert not any(part in text for part in ("hush", DIGEST) for text in (str(shown), repr(read)))


def test_every_setting_that_is_named_as_a_secret_is_one():
    """A new password is a secret, or its name says what it is instead."""
    telling = ("password", "secret", "token", "credential", "_key", "_keys")
    secrets = {variable.name for variable in file_variables().values()}
    named = {name for name in variables() if name.endswith(telling)}
    assert named <= secrets


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


@pytest.mark.parametrize("name", ["K2_REGISTRY_URL", "K2_ICEBERG_S3_ENDPOINT", "K2_KRAKEN_REST_URL"])
def test_a_url_with_a_password_is_refused_without_showing_it(name):
    check({name: "https://k2:hush@somewhere/path"}, name, "without a user", "https://***@somewhere/path")


def check(given, *expected):
    with pytest.raises(ConfigError) as error:
        settings.load(given)
    assert all(text in str(error.value) for text in expected), error.value
    assert "\n" not in str(error.value)
    assert "hush" not in str(error.value) and "loud" not in str(error.value)


def test_a_child_is_given_the_file_not_the_secret(secret, monkeypatch):
    monkeypatch.chdir(secret.parent)
    loud = {"K2_KAFKA_SASL_PASSWORD": "loud", **LOGIN}
    read = settings.load({"K2_CLICKHOUSE_PASSWORD_FILE": secret.name, **loud})
    given = settings.environment(read)
    expected = {"K2_CLICKHOUSE_PASSWORD_FILE": str(secret), "K2_KAFKA_SASL_PASSWORD": "loud", **LOGIN}
    assert given == expected
    assert settings.load(given) == read


def test_a_secret_that_is_replaced_is_no_longer_the_files(secret):
    read = settings.load({"K2_CLICKHOUSE_PASSWORD_FILE": str(secret)})
    given = settings.environment(settings.replace(read, clickhouse_password="loud"))
    assert given == {"K2_CLICKHOUSE_PASSWORD": "loud"}
    assert "K2_CLICKHOUSE_PASSWORD_FILE" in settings.environment(settings.replace(read, web_port=1))


def test_no_secret_is_shown(secret, monkeypatch, given_settings):
    secrets = {"K2_CLICKHOUSE_PASSWORD": "hush", "K2_ICEBERG_CATALOG_URI": f"{URI}?password=hush"}
    environ = {**secrets, "K2_KAFKA_SASL_PASSWORD_FILE": str(secret), **LOGIN}
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
