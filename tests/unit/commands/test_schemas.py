"""`k2 schemas`: a registry that refuses is not taken for none."""

import httpx
import pytest
from click.testing import CliRunner

from k2stream.cli import main
from k2stream.settings import make


@pytest.fixture
def asked(monkeypatch, tmp_path, given_settings):
    """Runs the command: a function of what the registry does with each request."""

    def run(answer):
        client = httpx.Client
        transport = httpx.MockTransport(answer)
        monkeypatch.setattr(
            "k2stream.commands.schemas.httpx.Client", lambda **given: client(**given, transport=transport)
        )
        given_settings(make(data_dir=str(tmp_path)))
        return CliRunner().invoke(main, ["schemas"])

    return run


def away(request):
    raise httpx.ConnectError("refused")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda request: httpx.Response(401), "401 Unauthorized"),
        (lambda request: httpx.Response(500), "500 Internal Server Error"),
        (lambda request: httpx.Response(200, text="<html>"), "Expecting value"),
    ],
)
def test_a_registry_that_refuses_is_not_taken_for_none(asked, answer, said):
    result = asked(answer)
    assert result.exit_code == 1
    assert said in result.stderr and "K2_REGISTRY_PASSWORD" in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_a_registry_the_files_are_listed(asked):
    result = asked(away)
    assert result.exit_code == 0
    assert "no schema registry at" in result.stderr and "normalized-value" in result.stdout
