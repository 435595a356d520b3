"""`make sbom`: the tool that uv fetches validates what it wrote; here that nothing locked is missing."""

import json
import re
import sys
from pathlib import Path

import pytest

from tests.supply import sbom

pytestmark = pytest.mark.deploy

PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ \\;]+)", re.MULTILINE)


def test_the_bill_of_materials_is_valid_and_whole(tmp_path):
    path = tmp_path / "dist" / "bill.json"
    sbom.write(path, str(Path(sys.executable).with_name("uv")))
    found = json.loads(path.read_text())
    assert found["metadata"]["component"]["name"] == "k2stream"
    listed = {(item["name"].lower().replace("_", "-"), item["version"]) for item in found["components"]}
    locked = {
        (name.lower().replace("_", "-"), version)
        for name, version in PIN.findall((sbom.ROOT / "requirements.lock").read_text())
    }
    assert listed == locked
    assert all(item["purl"].startswith("pkg:pypi/") for item in found["components"])
    hashes = [each for item in found["components"] for each in item["externalReferences"]]
    assert len([each for each in hashes if each.get("hashes")]) >= len(locked)
