"""TLS and logins: what contradicts itself is one line at start, and each client gets what is set."""

import ssl
from pathlib import Path

import pytest

from k2stream import settings
from k2stream.app import credentials
from k2stream.model.errors import ConfigError
from k2stream.settings.tls import client_context, server_context

SASL = {
    "K2_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "K2_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "K2_KAFKA_SASL_USERNAME": "k2",
    "K2_KAFKA_SASL_PASSWORD": "hush",
}


def refused(given):
    with pytest.raises(ConfigError) as error:
        settings.load(given)
    text = str(error.value)
    assert "\n" not in text and "hush" not in text
    return text


@pytest.mark.parametrize("name", ["MECHANISM", "USERNAME", "PASSWORD"])
def test_an_incomplete_login_names_what_is_missing(name):
    given = {key: value for key, value in SASL.items() if not key.endswith(name)}
    assert refused(given).startswith(f"K2_KAFKA_SECURITY_PROTOCOL=SASL_SSL needs K2_KAFKA_SASL_{name}")


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
def test_a_password_that_would_not_be_sent_is_refused(protocol):
    text = refused({"K2_KAFKA_SECURITY_PROTOCOL": protocol, "K2_KAFKA_SASL_PASSWORD": "hush"})
    assert f"K2_KAFKA_SASL_PASSWORD is set, but K2_KAFKA_SECURITY_PROTOCOL={protocol} does not log in" in text


@pytest.mark.parametrize(
    "given",
    [
        {"K2_REGISTRY_USERNAME": "k2"},
        {"K2_REGISTRY_PASSWORD": "hush"},
        {"K2_ICEBERG_S3_ACCESS_KEY_ID": "k2"},
        {"K2_ICEBERG_S3_SECRET_ACCESS_KEY": "hush"},
        {"K2_WEB_TLS_CERT_FILE": "server.pem"},
        {"K2_SERVICE_TLS_KEY_FILE": "server.key"},
    ],
)
def test_half_a_pair_is_refused(given):
    assert "belong together: set both or neither" in refused(given)


def test_two_logins_of_one_catalog_are_refused():
    text = refused({"K2_ICEBERG_TOKEN": "hush", "K2_ICEBERG_CREDENTIAL": "k2:hush"})
    assert text == "K2_ICEBERG_TOKEN and K2_ICEBERG_CREDENTIAL are both set: keep one of them"


@pytest.mark.parametrize("prefix", ["K2_KAFKA", "K2_REGISTRY", "K2_CLICKHOUSE"])
def test_a_ca_of_a_connection_without_tls_is_refused(prefix, files):
    text = refused({f"{prefix}_TLS_CA_FILE": files.ca_file})
    assert text.startswith(f"{prefix}_TLS_…_FILE is set, but the connection has no TLS")


@pytest.mark.parametrize("prefix", ["K2_ICEBERG", "K2_WEB", "K2_SERVICE"])
def test_a_file_that_cannot_be_used_is_named(prefix, files, tmp_path):
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("-----BEGIN NONSENSE-----\n")
    ca, certificate, key = (f"{prefix}_TLS_{name}_FILE" for name in ("CA", "CERT", "KEY"))
    assert refused({ca: str(tmp_path / "gone")}) == f"{ca}='{tmp_path}/gone': No such file or directory"
    assert refused({ca: str(wrong)}) == f"{ca}='{wrong}' holds no certificate in PEM"
    for pair in ((wrong, files.key_file), (files.cert_file, wrong), (files.cert_file, files.ca_file)):
        text = refused({certificate: str(pair[0]), key: str(pair[1])})
        assert text.startswith(f"{certificate}='{pair[0]}': not a certificate in PEM with the key of {key}")


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(files, tmp_path):
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(Path(files.key_file).read_bytes(), None)
    locked = tmp_path / "locked.key"
    form = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"hush")
    locked.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    text = refused({"K2_WEB_TLS_CERT_FILE": files.cert_file, "K2_WEB_TLS_KEY_FILE": str(locked)})
    assert "must not be encrypted" in text


def test_kafka_clients_log_in_over_tls(files):
    given = settings.load({**SASL, "K2_KAFKA_TLS_CA_FILE": files.ca_file}).kafka
    options = given.connection
    assert options["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert options["ssl_context"].check_hostname
    assert [options[f"sasl_{name}"] for name in ("mechanism", "plain_username", "plain_password")] == [
        "SCRAM-SHA-512", "k2", "hush",
    ]  # fmt: skip
    faust = credentials(given)
    assert (faust.protocol.value, faust.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-512")
    assert faust.ssl_context is options["ssl_context"]
    assert "hush" not in repr(faust) and "hush" not in repr(given)


def test_kafka_clients_may_use_tls_alone_and_a_login_alone():
    tls = settings.load({"K2_KAFKA_SECURITY_PROTOCOL": "SSL"}).kafka
    assert set(tls.connection) == {"bootstrap_servers", "security_protocol", "ssl_context"}
    assert credentials(tls).protocol.value == "SSL"
    plain = settings.load({**SASL, "K2_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}).kafka
    assert "ssl_context" not in plain.connection
    assert credentials(plain).protocol.value == "SASL_PLAINTEXT"
    assert credentials(settings.make().kafka) is None


def test_the_catalog_is_given_what_is_set_and_nothing_else(files):
    assert settings.load({}).iceberg.access == {}
    given = settings.load(
        {
            "K2_ICEBERG_WAREHOUSE": "s3://lake",
            "K2_ICEBERG_TOKEN": "hush",
            "K2_ICEBERG_S3_ENDPOINT": "https://minio:9000",
            "K2_ICEBERG_S3_ACCESS_KEY_ID": "k2",
            "K2_ICEBERG_S3_SECRET_ACCESS_KEY": "hush",
            "K2_ICEBERG_TLS_CA_FILE": files.ca_file,
            "K2_ICEBERG_TLS_CERT_FILE": files.cert_file,
            "K2_ICEBERG_TLS_KEY_FILE": files.key_file,
        }
    ).iceberg
    assert given.access == {
        "token": "hush",
        "s3.endpoint": "https://minio:9000",
        "s3.access-key-id": "k2",
        "s3.secret-access-key": "hush",
        "k2.s3.tls-ca-file": files.ca_file,
        "py-io-impl": "k2stream.iceberg.files.TrustingFiles",
        "ssl": {
            "cabundle": files.ca_file,
            "client": {"cert": files.cert_file, "key": files.key_file},
        },
    }
    assert "hush" not in repr(given)


def test_contexts_are_made_once(files):
    assert client_context(files) is client_context(files)
    assert server_context(files) is server_context(files)
    assert server_context(files._replace(cert_file="", key_file="")) is None
