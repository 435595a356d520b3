"""The deployment files agree with the compose specification, the settings and the metric names."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY

import k2stream.metrics  # noqa: F401 - registers the metrics
from k2stream import settings
from k2stream.app import ROLES
from k2stream.topics import EXCHANGES

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
K2_SERVICES = {
    name: body for name, body in COMPOSE["services"].items() if body["image"].startswith("k2stream")
}


def test_compose_obeys_the_compose_specification():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    result = subprocess.run([*command, ROOT / "docker-compose.yml"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_compose_has_a_service_per_role_and_exchange():
    expected = {f"ingest-{name}" for name in EXCHANGES} | set(ROLES) - {"ingest"}
    assert set(K2_SERVICES) == expected


@pytest.mark.parametrize("name", K2_SERVICES)
def test_compose_environment_is_known_to_the_settings(name):
    environment = K2_SERVICES[name]["environment"]
    read = settings.load({key: str(value) for key, value in environment.items()})
    assert K2_SERVICES[name]["command"][1] in ROLES
    assert read.worker.exchange == (name.partition("-")[2] if name.startswith("ingest-") else "")
    assert read.worker.web_host == K2_SERVICES[name]["hostname"]


def test_every_service_has_limits_and_long_running_ones_a_health_check():
    for name, body in COMPOSE["services"].items():
        assert body["deploy"]["resources"]["limits"], name
        assert "healthcheck" in body or name == "warehouse", name


def test_dockerfile_environment_is_known_to_the_settings():
    names = re.findall(r"\b(K2_[A-Z0-9_]+)=(\S+)", (ROOT / "deploy/Dockerfile").read_text())
    assert names
    settings.load(dict(names))


def _metric_names():
    suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
    suffixes["gaugehistogram"] = ["_bucket"]
    return {m.name + s for m in REGISTRY.collect() if m.name.startswith("k2_") for s in suffixes[m.type]}


def test_dashboards_and_alerts_name_existing_metrics():
    dashboards = map(json.loads, (path.read_text() for path in DASHBOARDS))
    targets = [target for each in dashboards for panel in each["panels"] for target in panel["targets"]]
    queries = [target["expr"] for target in targets if "expr" in target]
    alerts = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    queries += [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    used = {name for query in queries for name in re.findall(r"\bk2_[a-z_]+", query)}
    assert used
    assert used <= _metric_names()


def test_every_metric_is_on_a_dashboard_or_in_an_alert():
    text = "".join(path.read_text() for path in (*DASHBOARDS, ROOT / "deploy/prometheus/alerts.yml"))
    shown = set(re.findall(r"\bk2_[a-z_]+", text))
    unseen = {name for name in _metric_names() if name not in shown and not name.endswith(("_sum", "_count"))}
    assert unseen == {"k2_last_price", "k2_kline_checks_behind_seconds", "k2_kline_requests_total"}


def test_prometheus_scrapes_every_worker():
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    targets = {
        t.split(":")[0]
        for job in config["scrape_configs"]
        for s in job["static_configs"]
        for t in s["targets"]
    }
    assert targets == set(K2_SERVICES)
