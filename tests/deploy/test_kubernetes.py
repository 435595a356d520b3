"""The manifests, read as a cluster reads them: what is named exists, what is needed is allowed."""

import re
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import click
import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils

from k2stream import settings
from k2stream.app import ROLES
from k2stream.batch import STOP_SECONDS
from k2stream.cli import main
from k2stream.settings.secret_files import file_variables
from k2stream.simulator import protocols
from k2stream.topics import EXCHANGES
from tests.deploy.composed import ROOT
from tests.deploy.dockerfile import STAGES
from tests.deploy.dockerfile import environment as set_by
from tests.deploy.manifests import BUILT, FOLDER, built, cpu, memory, of_kind, pods, selects

pytestmark = pytest.mark.deploy

VERSIONS = ("1.32",)
WORKERS = [*(f"ingest-{name}" for name in EXCHANGES), *(role for role in ROLES if role != "ingest")]
SCALED = ("normalize", "candles", "hot")
IMAGE = {key: value for key, value in set_by(STAGES["runtime"]).items() if key.startswith("K2_")}
EACH = [(folder, name) for folder in BUILT for name in WORKERS]


def read(pod, tmp_path):
    """The settings of a worker, with a file in the place of each secret's."""
    given = IMAGE | {key: value for key, value in pod.environment().items() if key.startswith("K2_")}
    for key in file_variables():
        if key in given:
            (tmp_path / key).write_text("postgresql+psycopg2://k2:secret@postgres:5432/iceberg\n")
            given[key] = str(tmp_path / key)
    return settings.load(given)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", BUILT)
def test_every_object_obeys_its_schema(folder, version, monkeypatch):
    monkeypatch.setattr(utils, "schema_contents", cache(utils.schema_contents))  # megabytes for each object
    for item in built(folder):
        kubernetes_validate.validate(item, version, strict=True)


@pytest.mark.parametrize("folder", BUILT)
def test_no_two_objects_have_one_name_and_all_are_of_the_namespace(folder):
    names = [(item["kind"], item["metadata"]["name"]) for item in built(folder)]
    assert len(names) == len(set(names))
    assert {item["metadata"]["namespace"] for item in built(folder)} == {"k2stream"}


@pytest.mark.parametrize("folder", BUILT)
def test_there_is_a_workload_per_role_and_exchange(folder):
    extra = {"simulate"} if folder.endswith("simulated") else set()
    assert set(pods(folder)) == set(WORKERS) | extra


@pytest.mark.parametrize(("folder", "name"), EACH)
def test_a_worker_runs_a_command_with_settings_that_exist(folder, name, tmp_path):
    pod = pods(folder)[name]
    words = pod.container["args"]
    command = main.get_command(click.Context(main), words[0])
    assert command
    role = command.make_context(words[0], words[1:]).params["role"]
    assert role == pod.role == name.partition("-")[0]
    made = read(pod, tmp_path)
    assert made.worker.exchange == (name.partition("-")[2] if role == "ingest" else "")
    assert made.worker.web_host == "fieldRef"
    assert made.feeds.simulated == folder.endswith("simulated")
    assert {key for key in pod.environment() if not key.startswith("K2_")} <= {
        f"PYICEBERG_CATALOG__K2__S3__{key}"
        for key in ("ENDPOINT", "REGION", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
    }
    assert made.kafka.normalized_partitions >= max(map(made.kafka.raw_partitions, EXCHANGES))
    # Services of the namespace would otherwise set K2_… variables that are no settings.
    assert pod.spec["enableServiceLinks"] is False


@pytest.mark.parametrize(("folder", "name"), EACH)
def test_its_probes_ask_where_it_answers(folder, name, tmp_path):
    pod = pods(folder)[name]
    made = read(pod, tmp_path)
    assert pod.ports["web"] == made.worker.web_port
    assert (pod.ports.get("service"), name == "candles") in (
        (made.service.port, True),
        (None, False),
    )
    paths = {kind: pod.container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")}
    assert {probe["port"] for probe in paths.values()} == {"web"}
    # A worker that recovers its tables answers /health with 503, and must not be killed for it.
    assert {kind: probe["path"] for kind, probe in paths.items()} == {
        "startup": "/metrics",
        "readiness": "/health",
        "liveness": "/metrics",
    }
    notes = pod.deployment["spec"]["template"]["metadata"]["annotations"]
    assert notes["prometheus.io/port"] == str(pod.ports["web"])
    assert pod.spec["terminationGracePeriodSeconds"] > STOP_SECONDS


@pytest.mark.parametrize("folder", BUILT)
def test_containers_have_no_rights_and_a_root_that_is_only_read(folder):
    for pod in pods(folder).values():
        rights = pod.container["securityContext"]
        assert rights["readOnlyRootFilesystem"] is True and rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"] == {"drop": ["ALL"]}
        user = pod.spec["securityContext"]
        assert user["runAsNonRoot"] is True
        assert f"{user['runAsUser']}:{user['runAsGroup']}" == STAGES["runtime"].all("USER")[0]
        assert user["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod.spec["automountServiceAccountToken"] is False


@pytest.mark.parametrize(("folder", "name"), EACH)
def test_what_it_mounts_exists_and_holds_what_the_settings_name(folder, name, tmp_path):
    pod = pods(folder)[name]
    volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in pod.container["volumeMounts"]}
    assert {mount["name"] for mount in mounts.values()} == set(volumes)
    writable = {path for path, mount in mounts.items() if not mount.get("readOnly")}
    assert writable == {"/var/lib/k2", "/tmp"}
    assert all("emptyDir" in volumes[mounts[path]["name"]] for path in writable)
    assert str(read(pod, tmp_path).local.data_path).startswith("/var/lib/k2/")
    held = {}
    for path, mount in mounts.items():
        volume = volumes[mount["name"]]
        if "configMap" in volume:
            data = of_kind(folder, "ConfigMap")[volume["configMap"]["name"]]["data"]
            held |= {f"{path}/{key}": value for key, value in data.items()}
        if "secret" in volume:
            held |= {f"{path}/{item['path']}": "" for item in volume["secret"]["items"]}
    named = pod.environment()
    wanted = {named["K2_INSTRUMENTS_FILE"]} | {named[key] for key in file_variables() if key in named}
    assert wanted <= set(held)
    assert held[named["K2_INSTRUMENTS_FILE"]] == (ROOT / "config" / "instruments.yaml").read_text()


@pytest.mark.parametrize("folder", BUILT)
def test_secrets_are_given_only_to_who_needs_them(folder):
    needs = {name for name, pod in pods(folder).items() if "k2-secrets" in str(pod.spec)}
    assert needs == {"candles", "hot", "cold"}
    made = of_kind(folder, "Secret")
    keys = {"clickhouse-password", "iceberg-catalog-uri", "s3-access-key-id", "s3-secret-access-key"}
    for secret in made.values():
        assert set(secret["data"]) == keys
    assert bool(made) == folder.endswith("simulated")
    page = (ROOT / "docs/operations/deploy.md").read_text()
    assert all(key in page for key in keys)


@pytest.mark.parametrize("folder", BUILT)
def test_selectors_select_one_workload(folder):
    found = pods(folder)
    for name, pod in found.items():
        assert selects(pod.deployment["spec"]["selector"], pod.labels)
        assert [
            other for other, each in found.items() if selects(pod.deployment["spec"]["selector"], each.labels)
        ] == [name]
    for name, service in of_kind(folder, "Service").items():
        chosen = [pod for pod in found.values() if service["spec"]["selector"].items() <= pod.labels.items()]
        assert [pod.name for pod in chosen] == [name]
        for port in service["spec"]["ports"]:
            assert chosen[0].ports[port["targetPort"]] == port["port"]
    budgets = of_kind(folder, "PodDisruptionBudget")
    assert set(budgets) == set(WORKERS)
    for name, budget in budgets.items():
        assert selects(budget["spec"]["selector"], found[name].labels)
        assert budget["spec"]["maxUnavailable"] == 1  # a drain always goes on


@pytest.mark.parametrize("folder", BUILT)
def test_a_feed_is_never_there_twice(folder):
    for exchange in EXCHANGES:
        spec = pods(folder)[f"ingest-{exchange}"].deployment["spec"]
        assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    for name in set(WORKERS) - {f"ingest-{exchange}" for exchange in EXCHANGES}:
        rolling = pods(folder)[name].deployment["spec"]["strategy"]["rollingUpdate"]
        assert rolling == {"maxSurge": 0, "maxUnavailable": 1}


@pytest.mark.parametrize("folder", BUILT)
def test_what_is_scaled_is_scaled_by_its_lag_up_to_its_partitions(folder, tmp_path):
    scalers = of_kind(folder, "HorizontalPodAutoscaler")
    assert set(scalers) == set(SCALED)
    jobs = yaml.safe_load((FOLDER / "monitoring" / "scrape.yml").read_text())
    labels = {rule.get("target_label") for job in jobs for rule in job["relabel_configs"]}
    (rule,) = yaml.safe_load((FOLDER / "monitoring" / "prometheus-adapter.yaml").read_text())["rules"][
        "external"
    ]
    for name, scaler in scalers.items():
        spec = scaler["spec"]
        assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        assert "replicas" not in pods(folder)[name].deployment["spec"]
        most = read(pods(folder)[name], tmp_path).kafka.normalized_partitions
        assert 2 <= spec["minReplicas"] <= spec["maxReplicas"] <= most
        (metric,) = spec["metrics"]
        chosen = metric["external"]["metric"]
        assert chosen["name"] == rule["name"]["as"] == "k2_consumer_lag"
        assert chosen["selector"]["matchLabels"] == {"component": name}
        assert pods(folder)[name].labels["app.kubernetes.io/component"] == name
    assert {"component", "namespace", "instance"} <= labels


def rules(folder, kind, labels):
    """The rules of all policies for pods with these labels, of ingress or egress."""
    return [
        rule
        for policy in of_kind(folder, "NetworkPolicy").values()
        if kind.title() in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], labels)
        for rule in policy["spec"].get(kind, [])
    ]


def may(folder, source, target, port):
    """Whether a pod may connect to a port: of another one, or (None) of what is no pod of ours."""
    leaves = any(_admits(rule, "to", target, port) for rule in rules(folder, "egress", source.labels))
    return leaves and (
        target is None
        or any(_admits(rule, "from", source, port) for rule in rules(folder, "ingress", target.labels))
    )


def _admits(rule, key, other, port):
    peers = (peer["podSelector"] for peer in rule.get(key, []) if "podSelector" in peer)
    reached = key not in rule or (other is not None and any(selects(peer, other.labels) for peer in peers))
    return reached and ("ports" not in rule or port in {entry["port"] for entry in rule["ports"]})


@pytest.mark.parametrize(("folder", "name"), EACH)
def test_a_worker_may_reach_what_its_settings_name_and_nothing_else(folder, name, tmp_path):
    found = pods(folder)
    pod, made = found[name], read(found[name], tmp_path)
    stores = pod.role in ("candles", "hot", "cold")
    catalog = urlsplit(made.iceberg.catalog_uri).port if stores else None
    wanted: set[int | None] = {int(made.kafka.bootstrap.rpartition(":")[2]), 53}
    if pod.role != "ingest":
        wanted.add(urlsplit(made.kafka.registry_url).port)
    if stores:
        object_store = urlsplit(pod.environment()["PYICEBERG_CATALOG__K2__S3__ENDPOINT"]).port
        wanted |= {made.clickhouse.port, catalog, object_store, 443}
    urls = [made.feeds.ws_url(exchange) for exchange in EXCHANGES]
    urls += [made.feeds.rest_url(exchange) for exchange in EXCHANGES]
    if pod.role in ("ingest", "certify"):
        if made.feeds.simulated:
            assert all(may(folder, pod, found["simulate"], urlsplit(url).port) for url in urls)
        wanted |= {443, 9443}
        assert made.feeds.simulated or {urlsplit(url).port or 443 for url in urls} <= wanted
    ports = (53, 443, 5432, 8080, 9000, 9092, 9443, 22, 6066, 8066)
    assert {port for port in ports if may(folder, pod, None, port)} == wanted
    for other in found.values():
        asks = name == "candles" and other.role != ""
        assert may(folder, pod, other, 6066) == asks, other.name


@pytest.mark.parametrize("folder", BUILT)
def test_the_status_asks_every_worker_by_its_service(folder, tmp_path):
    made = read(pods(folder)["candles"], tmp_path)
    assert set(made.service.worker_urls) == set(WORKERS)
    for name, url in made.service.worker_urls.items():
        ports = {port["port"] for port in of_kind(folder, "Service")[name]["spec"]["ports"]}
        assert urlsplit(url).hostname == name and urlsplit(url).port in ports


def test_the_simulated_exchanges_are_where_the_feeds_look(tmp_path):
    pod = pods("overlays/simulated")["simulate"]
    words = pod.container["args"]
    command = main.get_command(click.Context(main), words[0])
    assert command
    options = command.make_context(words[0], words[1:]).params
    made = read(pods("overlays/simulated")["certify"], tmp_path).feeds
    served = {port["port"] for port in of_kind("overlays/simulated", "Service")["simulate"]["spec"]["ports"]}
    for exchange in EXCHANGES:
        protocol: Any = protocols.for_exchange(exchange)
        assert made.ws_url(exchange) == f"ws://simulate:{options[f'{exchange}_port']}{protocol.dialect.path}"
        assert made.rest_url(exchange) == f"http://simulate:{options[f'{exchange}_rest_port']}"
        assert {options[f"{exchange}_port"], options[f"{exchange}_rest_port"]} <= served
    assert options["control_port"] == pod.ports[pod.container["readinessProbe"]["httpGet"]["port"]]


@pytest.mark.parametrize("folder", BUILT)
def test_images_are_of_this_version(folder):
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert {pod.container["image"] for pod in pods(folder).values()} == {f"k2stream:{version[1]}"}


def test_the_page_says_what_a_node_has_to_have():
    scalers = of_kind("base", "HorizontalPodAutoscaler")
    cores = size = 0
    for name, pod in pods("base").items():
        count = (
            scalers[name]["spec"]["minReplicas"] if name in scalers else pod.deployment["spec"]["replicas"]
        )
        asked, most = pod.container["resources"]["requests"], pod.container["resources"]["limits"]
        assert memory(asked["memory"]) <= memory(most["memory"]), name
        cores += count * cpu(asked["cpu"])
        size += count * memory(asked["memory"])
    page = (ROOT / "docs/operations/deploy.md").read_text()
    assert f"{cores / 1000:g} cores and {size / 1024:.1f} GiB" in page
