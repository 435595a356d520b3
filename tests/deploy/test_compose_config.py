"""Debian's docker-compose reads the compose file, where it is installed: it needs no engine for that."""

import shutil
import subprocess

import pytest
import yaml

from tests.deploy.composed import PROFILES, ROOT, environment, started

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.skipif(not shutil.which("docker-compose"), reason="no docker-compose: `.ci/run` installs it"),
]


@pytest.mark.parametrize("profile", PROFILES)
def test_the_file_is_read_as_these_tests_read_it(profile, tmp_path):
    file = tmp_path / "docker-compose.yml"
    text = (ROOT / "docker-compose.yml").read_text()
    file.write_text(text.replace("\nname: k2stream\n", "\n"))  # the program is older than this key
    command = ["docker-compose", "-f", file, "--project-directory", ROOT, "--profile", profile, "config"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    read = yaml.safe_load(result.stdout)["services"]
    for name, body in started(profile).items():
        given = {key: str(value) for key, value in read[name].get("environment", {}).items()}
        assert given == environment(body), name
        assert read[name].get("command") == body.get("command"), name
        assert read[name].get("depends_on") == body.get("depends_on"), name
