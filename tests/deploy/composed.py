"""The compose file, as an engine reads it."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
PROFILES = ("infra", "all", "simulated")
PREFIX = "simulated-"
"""Of the services that are another's, with other settings, in the profile `simulated`."""

_SIZES = {"M": 1 << 20, "G": 1 << 30}


def started(profile):
    """The services that a profile starts, by name."""
    return {name: body for name, body in SERVICES.items() if profile in body["profiles"]}


def ours(profile):
    """Those of them that run our image, by the name at which the others reach them."""
    found = started(profile)
    return {
        name.removeprefix(PREFIX): body
        for name, body in found.items()
        if body["image"].startswith("k2stream:")
    }


def limit(body):
    """The memory limit of a service, in bytes."""
    text = body["deploy"]["resources"]["limits"]["memory"]
    return int(text[:-1]) * _SIZES[text[-1]]


def environment(body):
    """The environment of a service, as its processes see it."""
    return {key: str(value) for key, value in body.get("environment", {}).items()}


def seconds(text):
    """A duration such as `20s`, in seconds."""
    return int(text.removesuffix("s"))
