"""Runs what the pages show against a running platform: their shell blocks that are marked `run`."""

import json
import re
import subprocess
import sys
from pathlib import Path
from threading import Timer

import httpx
from click.testing import CliRunner

from k2stream.cli import main
from tests.unit.docs.pages import PAGES, ROOT, blocks_of

ADDRESS = "http://127.0.0.1:6066"
"""Where the pages say that the service is."""

_KEY = re.compile(r'"(\w+)":')


def calls():
    """The commands of the blocks, each once, with its page."""
    found = {}
    for page in PAGES:
        for block in blocks_of(page):
            if block.mark == "run":
                for call in block.calls:
                    found.setdefault(tuple(call.words), (block.page, call))
    return list(found.values())


def check(call, service):
    """Run a command; what it prints has to look like what the page shows."""
    printed = _asked(call.words, service) if call.words[0] == "curl" else _run(call.words)
    shown = "\n".join(call.shown)
    missing = set(_KEY.findall(shown)) - set(_KEY.findall(printed))
    assert not missing, f"{missing} not in {printed}"
    head = call.shown[0].split() if call.shown else []
    if len(head) > 2 and all(word.isalpha() for word in head):  # the head of a table
        assert set(head) <= set(printed.split()), printed


def _run(words):
    if "--to" in words:  # a folder that a reader of the page has
        Path(words[words.index("--to") + 1]).mkdir(parents=True, exist_ok=True)
    result = CliRunner().invoke(main, words[1:])
    assert result.exit_code == 0, f"{result.output} {result.exception!r}"
    return result.stdout


def _asked(words, service):
    """The answer to a request with curl, which the system need not have; of a stream, its beginning."""
    options = [word for word in words[1:] if word.startswith("-")]
    assert set(options) <= {"-s", "-N", "-X"}, options
    method = words[words.index("-X") + 1] if "-X" in options else "GET"
    url = next(word for word in words if word.startswith(ADDRESS)).replace(ADDRESS, service)
    with httpx.stream(method, url, timeout=30) as answer:
        assert answer.status_code < 500, answer.read()
        if "-N" in options:
            return next(answer.iter_text())
        text = answer.read().decode()
    return json.dumps(json.loads(text), separators=(",", ":")) if text[:1] in "[{" else text


def said_by_the_bot(service, lines):
    """What the bot of the first page prints, once the page's other code has run in this process."""
    page = ROOT / "docs" / "getting-started.md"
    look, bot = (block.body for block in blocks_of(page) if block.language == "python")
    exec(look, {})
    address = ADDRESS.replace("http", "ws")
    assert address in bot
    Path("bot.py").write_text(bot.replace(address, service.replace("http", "ws")))
    with subprocess.Popen([sys.executable, "bot.py"], stdout=subprocess.PIPE, text=True) as process:
        limit = Timer(60, process.kill)
        limit.start()
        try:
            assert process.stdout
            return [process.stdout.readline() for _ in range(lines)]
        finally:
            limit.cancel()
            process.kill()
