"""The objects that kustomize makes of a folder of deploy/kubernetes, as a cluster reads them."""

import shutil
import subprocess
from dataclasses import dataclass
from functools import cache

import yaml

from tests.deploy.composed import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
BUILT = ("base", "overlays/simulated")
FILES = "{} with kustomize 5 is needed: `kubectl` from 1.27 on, your system's package or the project's own"


@cache
def built(name):
    """The objects of a folder."""
    program = shutil.which("kubectl")
    assert program, FILES.format("kubectl")
    result = subprocess.run([program, "kustomize", FOLDER / name], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return [item for item in yaml.safe_load_all(result.stdout) if item]


def of_kind(name, kind):
    """The objects of a kind, by name."""
    return {item["metadata"]["name"]: item for item in built(name) if item["kind"] == kind}


@dataclass(frozen=True)
class Pod:
    """What a Deployment makes pods from."""

    name: str
    deployment: dict
    folder: str

    @property
    def labels(self):
        return self.deployment["spec"]["template"]["metadata"]["labels"]

    @property
    def spec(self):
        return self.deployment["spec"]["template"]["spec"]

    @property
    def container(self):
        (only,) = self.spec["containers"]
        return only

    @property
    def role(self):
        """The role of a worker; empty for what is none."""
        return self.labels.get("k2stream/role", "")

    @property
    def ports(self):
        """The container's ports, by name."""
        return {port["name"]: port["containerPort"] for port in self.container["ports"]}

    def environment(self):
        """What the process sees; of secrets and of the pod's own address, a word that stands for it."""
        maps, secrets = of_kind(self.folder, "ConfigMap"), of_kind(self.folder, "Secret")
        made = {}
        for source in self.container.get("envFrom", []):
            made |= maps[source["configMapRef"]["name"]]["data"]
        for item in self.container.get("env", []):
            came = item.get("valueFrom", {})
            if "secretKeyRef" in came:
                wanted = came["secretKeyRef"]
                assert not secrets or wanted["key"] in secrets[wanted["name"]]["data"]
            made[item["name"]] = item.get("value", next(iter(came), ""))
        return made


def pods(name):
    """The pods of a folder's deployments, by their names."""
    return {key: Pod(key, item, name) for key, item in of_kind(name, "Deployment").items()}


def selects(selector, labels):
    """Whether a label selector selects labels; an empty one selects all."""
    exact = selector.get("matchLabels", {}).items() <= labels.items()
    return exact and all(
        rule["operator"] == "In" and labels.get(rule["key"]) in rule["values"]
        for rule in selector.get("matchExpressions", [])
    )


def cpu(text):
    """A quantity of cores, in thousandths."""
    return int(text.removesuffix("m")) if text.endswith("m") else int(float(text) * 1000)


def memory(text):
    """A quantity of memory, in MiB."""
    return int(text[:-2]) * {"Mi": 1, "Gi": 1024}[text[-2:]]
