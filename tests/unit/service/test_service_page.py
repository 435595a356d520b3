"""The files of the page: what they are, how they are sent, and that nothing is fetched from elsewhere."""

import hashlib
import re

import pytest

from k2stream.service.page import FOLDER, assets

MOST_BYTES = 300_000  # of all files, compressed
VENDORED = {
    "vendor/lightweight-charts.mjs": "1bb1ee79f9d4dd17261b53d930f7a8995748276f80e7ba0e24412b5068062f5f",
    "vendor/uplot.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "vendor/uplot.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}
OWN = sorted(name for name in assets() if name not in VENDORED)


async def test_the_page_is_at_the_root(client):
    answer = await client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in answer.headers["content-security-policy"]


async def test_all_files_are_sent_and_small(client):
    total = 0
    for name in assets():
        answer = await client.get(f"/page/{name}", headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200, name
        assert answer.content == assets()[name]
        total += int(answer.headers["content-length"])
    assert total <= MOST_BYTES


@pytest.mark.parametrize(
    "name", ["../page.py", "%2e%2e/page.py", "vendor/none.js", "vendor/uplot.LICENSE", ""]
)
async def test_nothing_else_is_sent(client, name):
    answer = await client.get(f"/page/{name}")
    assert answer.status_code == 404
    assert "import" not in answer.text


def test_vendored_files_are_those_of_their_packages():
    found = {name: hashlib.sha256(assets()[name]).hexdigest() for name in VENDORED}
    assert found == VENDORED
    for package in ("lightweight-charts", "uplot"):
        assert (FOLDER / "vendor" / f"{package}.LICENSE").exists()


@pytest.mark.parametrize("name", OWN)
def test_no_other_host_is_named(name):
    urls = re.findall(r"https?://[^\s\"'`)]+", assets()[name].decode())
    assert set(urls) <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("name", [name for name in OWN if name.endswith(".js")])
def test_every_import_is_a_file(name):
    for target in re.findall(r"from \"\./([^\"]+)\"", assets()[name].decode()):
        assert target in assets(), f"{name} imports {target}"


def test_every_element_that_a_script_asks_for_exists():
    ids = set(re.findall(r"\bid=\"([^\"]+)\"", assets()["index.html"].decode()))
    for name in OWN:
        if name.endswith(".js"):
            asked = set(re.findall(r"\$\(\"([^\"]+)\"\)", assets()[name].decode()))
            assert asked <= ids, name
