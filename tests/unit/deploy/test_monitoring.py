"""The dashboards and the alerts name metrics that exist, and leave few out."""

import json
import re

import yaml
from prometheus_client import REGISTRY

import k2stream.metrics  # noqa: F401 - registers the metrics
from tests.deploy.composed import ROOT

DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))


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
    for_commands = {"k2_last_price", "k2_price_digits"}
    assert unseen == for_commands | {"k2_kline_checks_behind_seconds", "k2_kline_requests_total"}
