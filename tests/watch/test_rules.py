"""The alert rules, as Prometheus' own tool reads them."""

import re
import subprocess

import pytest
import yaml

from tests.watch.servers import PROMETHEUS, faster, program, promtool

pytestmark = pytest.mark.watch

RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}


def test_the_rules_are_valid():
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "alerts.yml")


def test_the_alertmanager_of_the_compose_file_is_valid():
    config = PROMETHEUS.parent / "alertmanager" / "alertmanager.yml"
    command = [program("amtool"), "check-config", config]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_each_alert_fires_on_its_fault_and_on_nothing_that_looks_like_it():
    promtool("test", "rules", "alerts.test.yml")
    tests = yaml.safe_load((PROMETHEUS / "alerts.test.yml").read_text())["tests"]
    assert {"fires", "is silent"} <= {test["name"].split(" ", 1)[1] for test in tests}
    for name in RULES:
        assert {f"{name} fires", f"{name} is silent"} <= {test["name"] for test in tests}, name


def test_the_rules_of_these_tests_are_only_faster():
    made = yaml.safe_load(faster((PROMETHEUS / "alerts.yml").read_text()))["groups"][0]["rules"]
    assert [rule["alert"] for rule in made] == list(RULES)
    number = re.compile(r"[0-9.]+[smh]?")
    for rule in made:
        assert number.sub("", rule["expr"]) == number.sub("", RULES[rule["alert"]]["expr"])
