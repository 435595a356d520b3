"""The dashboards are what Grafana expects: its schema, unique ids, a grid without overlaps, known sources."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))}
SOURCES = {
    source["uid"]: source["type"]
    for path in (GRAFANA / "provisioning" / "datasources").glob("*.yml")
    for source in yaml.safe_load(path.read_text())["datasources"]
}
QUERY = {"prometheus": "expr", "grafana-clickhouse-datasource": "rawSql"}
BUILT_IN = {"__rate_interval", "__interval", "__all", "__fromTime_ms", "__toTime_ms", "__timeFilter_ms"}

OF_PROMETHEUS = {"titleFormat", "textFormat", "step"}
"""Fields of an annotation that are its data source's own: Grafana's types leave them out."""

each = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
register_default_plugins()


def lost(ours, theirs, path=""):
    """What Grafana's own types drop or change of a dashboard: misspelled and misplaced fields."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name, value in ours.items():
            if name not in theirs:
                yield f"{path}.{name}"
            else:
                yield from lost(value, theirs[name], f"{path}.{name}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from lost(*pair, f"{path}[{number}]")
    elif ours != theirs:
        yield f"{path}: {ours!r} became {theirs!r}"


@each
def test_grafanas_own_types_know_every_field(board):
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(json.loads(json.dumps(board)))))
    found = [path for path in lost(board, read) if path.rpartition(".")[2] not in OF_PROMETHEUS]
    assert found == []


def test_the_names_are_unique():
    assert {"overview", "feeds", "pipeline", "storage", "latency", "market"} == BOARDS.keys()
    for name in ("uid", "title"):
        assert len({board[name] for board in BOARDS.values()}) == len(BOARDS)


@each
def test_panels_have_ids_and_titles_of_their_own_and_do_not_overlap(board):
    panels = board["panels"]
    for name in ("id", "title"):
        assert len({panel[name] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    assert all(at["x"] >= 0 and at["x"] + at["w"] <= 24 and at["h"] > 0 for at in places)
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        )  # fmt: skip
        assert apart, (one, other)


@each
def test_panels_have_a_unit_and_queries_of_a_provisioned_source(board):
    for panel in board["panels"]:
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert references and len(set(references)) == len(references), panel["title"]
        for place in (panel, *panel["targets"]):
            source = place["datasource"]
            assert SOURCES[source["uid"]] == source["type"], panel["title"]
        for target in panel["targets"]:
            assert target[QUERY[target["datasource"]["type"]]].strip(), panel["title"]


@each
def test_variables_that_queries_use_are_declared_and_declared_ones_are_used(board):
    declared = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"]))) - BUILT_IN
    within = set(re.findall(r"\$\{?(\w+)", json.dumps(board["templating"]))) - BUILT_IN
    assert used == declared
    assert within <= declared


def test_what_is_provisioned_is_there():
    provider = yaml.safe_load((GRAFANA / "provisioning/dashboards/k2.yml").read_text())["providers"][0]
    compose = (GRAFANA.parents[1] / "docker-compose.yml").read_text()
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in compose
    assert "grafana-clickhouse-datasource" in compose
    (home,) = re.findall(rf"{provider['options']['path']}/(\w+)\.json", compose)
    assert home in BOARDS
