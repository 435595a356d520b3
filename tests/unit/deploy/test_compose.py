"""The compose file agrees with its specification, the command line, the settings and the exchanges."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from k2stream import settings
from k2stream.app import ROLES
from k2stream.batch import STOP_SECONDS
from k2stream.cli import main
from k2stream.simulator import protocols
from k2stream.topics import EXCHANGES
from tests.deploy.composed import (
    COMPOSE,
    PROFILES,
    ROOT,
    SERVICES,
    environment,
    limit,
    ours,
    seconds,
    started,
)

OURS = [(profile, name) for profile in ("all", "simulated") for name in ours(profile)]
ROOM = 4 << 30
"""Bytes that a machine has to have for it."""

LARGEST_FEED = 256 << 20


def test_it_obeys_the_compose_specification():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    result = subprocess.run([*command, ROOT / "docker-compose.yml"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_service_is_of_a_profile():
    assert {profile for body in SERVICES.values() for profile in body["profiles"]} == set(PROFILES)
    assert not ours("infra")
    assert set(started("infra")) <= set(started("all")) & set(started("simulated"))


@pytest.mark.parametrize("profile", ["all", "simulated"])
def test_there_is_a_service_per_role_and_exchange(profile):
    expected = {f"ingest-{name}" for name in EXCHANGES} | set(ROLES) - {"ingest"}
    assert set(ours(profile)) - {"simulate"} == expected
    assert ("simulate" in ours(profile)) == (profile == "simulated")


@pytest.mark.parametrize("profile", PROFILES)
def test_its_memory_is_within_four_gigabytes(profile):
    assert sum(map(limit, started(profile).values())) <= ROOM


def test_every_service_has_limits_and_long_running_ones_a_health_check():
    for name, body in SERVICES.items():
        limits = body["deploy"]["resources"]["limits"]
        assert float(limits["cpus"]) > 0 and limit(body) > 0, name
        assert "healthcheck" in body or name == "warehouse", name


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_feed_takes_half_a_core_and_256_megabytes(exchange):
    body = SERVICES[f"ingest-{exchange}"]
    assert limit(body) == LARGEST_FEED
    assert body["deploy"]["resources"]["limits"]["cpus"] == "0.5"


@pytest.mark.parametrize(("profile", "name"), OURS)
def test_its_command_is_one_of_the_command_line(profile, name):
    words = ours(profile)[name]["command"]
    command = main.get_command(click.Context(main), words[0])
    assert command
    context = command.make_context(words[0], words[1:], resilient_parsing=False)
    assert words[0] == "simulate" or context.params["role"] == name.partition("-")[0]


@pytest.mark.parametrize(("profile", "name"), OURS)
def test_its_environment_is_known_to_the_settings(profile, name):
    body = ours(profile)[name]
    read = settings.load(environment(body))
    assert body["hostname"] == name
    if name != "simulate":
        assert read.worker.exchange == (name.partition("-")[2] if name.startswith("ingest-") else "")
        assert read.worker.web_host == name
        own = {key for key in environment(body) if not key.startswith("K2_")}
        assert all(key.startswith("PYICEBERG_CATALOG__K2__S3__") for key in own)


def test_what_runs_simulated_differs_in_nothing_but_its_feeds():
    moved = {"K2_SIMULATED"}
    moved |= {f"K2_{name.upper()}_{kind}_URL" for name in EXCHANGES for kind in ("WS", "REST")}
    for name, body in ours("simulated").items():
        if name != "simulate" and body is not ours("all")[name]:
            theirs = ours("all")[name]
            assert environment(body).items() - environment(theirs).items() == {
                (key, value) for key, value in environment(body).items() if key in moved
            }
            assert moved <= environment(body).keys()
            assert body["networks"]["default"]["aliases"] == [name]
            assert {key: body[key] for key in ("command", "deploy", "hostname", "image")} == {
                key: theirs[key] for key in ("command", "deploy", "hostname", "image")
            }
    feeds = {name for name in ours("simulated") if name.startswith("ingest-")}
    assert all(environment(ours("simulated")[name])["K2_SIMULATED"] == "true" for name in feeds)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_the_simulated_exchanges_are_where_the_feeds_look(exchange):
    options = dict(word.removeprefix("--").split("=") for word in SERVICES["simulate"]["command"][1:])
    read = settings.load(environment(ours("simulated")[f"ingest-{exchange}"])).feeds
    protocol: Any = protocols.for_exchange(exchange)
    assert read.ws_url(exchange) == f"ws://simulate:{options[f'{exchange}-port']}{protocol.dialect.path}"
    assert read.rest_url(exchange) == f"http://simulate:{options[f'{exchange}-rest-port']}"
    assert options["host"] == "0.0.0.0"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_service_waits_for_others_of_its_profile_until_they_are_healthy(profile):
    known = started(profile)
    for name, body in known.items():
        for other, how in body.get("depends_on", {}).items():
            assert other in known, f"{name} waits for {other}"
            done = how["condition"] == "service_completed_successfully"
            assert done or (how["condition"] == "service_healthy" and "healthcheck" in known[other])


def test_feeds_wait_for_the_broker_and_the_others_for_what_they_write_to():
    waits = {name: set(body["depends_on"]) for name, body in ours("all").items()}
    assert all(waits[f"ingest-{name}"] == {"redpanda"} for name in EXCHANGES)
    assert {"redpanda", "registry", "clickhouse"} <= waits["hot"]
    assert {"redpanda", "registry", "postgres", "warehouse"} <= waits["cold"]


@pytest.mark.parametrize(("profile", "name"), OURS)
def test_our_containers_can_write_only_what_is_lost_with_them(profile, name):
    body = ours(profile)[name]
    assert body["read_only"] is True and body["cap_drop"] == ["ALL"]
    assert body["security_opt"] == ["no-new-privileges:true"]
    assert [entry.partition(":")[0] for entry in body["tmpfs"]] == ["/tmp", "/var/lib/k2"]
    assert "volumes" not in body and "user" not in body
    assert seconds(body["stop_grace_period"]) > STOP_SECONDS


def test_addresses_name_services_and_ports_that_they_listen_on():
    ports = {
        "redpanda": {9092},
        "registry": {8080},
        "clickhouse": {9000},
        "postgres": {5432},
        "minio": {9000},
    }
    for profile in ("all", "simulated"):
        given = dict(ports) | {name: {6066, 8066} for name in ours(profile)}
        given["simulate"] = {*range(9100, 9104), *range(9111, 9114)}
        for name, body in ours(profile).items():
            text = " ".join(environment(body).values())
            for host, port in re.findall(r"(?<=[/@])([a-z][a-z0-9-]*):(\d+)", text):
                assert host in started(profile) or host in ours(profile), f"{name}: {host}"
                assert int(port) in given[host], f"{name}: {host}:{port}"


def test_what_is_mounted_exists():
    volumes = set(COMPOSE["volumes"])
    for name, body in SERVICES.items():
        for mount in body.get("volumes", []):
            source = mount.partition(":")[0]
            assert source in volumes or (ROOT / source).exists(), f"{name}: {mount}"


def test_prometheus_scrapes_every_worker_and_knows_the_alertmanager():
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    targets = {t for job in config["scrape_configs"] for s in job["static_configs"] for t in s["targets"]}
    assert targets == {f"{name}:6066" for name in ours("all")}
    (alertmanager,) = config["alerting"]["alertmanagers"]
    assert alertmanager["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    routed = yaml.safe_load((ROOT / "deploy/alertmanager/alertmanager.yml").read_text())
    alerts = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    receivers = {receiver["name"] for receiver in routed["receivers"]}
    assert {
        routed["route"]["receiver"],
        *(route["receiver"] for route in routed["route"]["routes"]),
    } == receivers
    matched = re.findall(r'="(\w+)"', str(routed["route"]["routes"]))
    severities = {rule["labels"]["severity"] for group in alerts["groups"] for rule in group["rules"]}
    assert set(matched) < severities
    names = {rule["alert"] for group in alerts["groups"] for rule in group["rules"]}
    inhibited = re.findall(r'alertname=~"([\w|]+)"', str(routed["inhibit_rules"]))
    assert {name for group in inhibited for name in group.split("|")} <= names


def test_the_pages_name_the_profiles_and_the_ports():
    page = Path(ROOT / "docs/operations/deploy.md").read_text()
    for profile in PROFILES:
        assert f"`{profile}`" in page or f"--profile {profile}" in page, profile
    for name, body in SERVICES.items():
        for port in body.get("ports", []):
            assert re.search(rf"\b{port.split(':')[1]}\b", page), f"{name}: {port}"
