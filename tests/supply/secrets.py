"""`make secrets`: passwords and keys in the tree, by detect-secrets, without a network."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

ROOT = Path(__file__).parents[2]

PLUGINS = (
    *("ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector"),
    *("CloudantDetector", "DiscordBotTokenDetector", "GitHubTokenDetector", "GitLabTokenDetector"),
    *("JwtTokenDetector", "MailchimpDetector", "NpmDetector", "OpenAIDetector", "PrivateKeyDetector"),
    *("PypiTokenDetector", "SendGridDetector", "SlackDetector", "SquareOAuthDetector", "StripeDetector"),
    *("TelegramBotTokenDetector", "TwilioKeyDetector", "KeywordDetector"),
)
"""All but those of random text: digests and ids of trades look like it."""

SKIPPED = re.compile(r"\.(lock|png|svg|ipynb|jsonl)$|/(vendor|swagger-ui)/")
"""Digests of packages, pictures, recorded trades, files of others."""

KNOWN = {
    "docker-compose.yml": "passwords for one machine, which the file says are to be changed",
    "deploy/kubernetes/base/patches/stores.yaml": "the name of a Secret of Kubernetes",
}
"""Files whose passwords are meant to be read, and why."""


class Finding(NamedTuple):
    """A place that looks like a secret."""

    file: str
    line: int
    kind: str


def tracked() -> list[str]:
    """The files of the tree that git knows, or is about to."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in found.splitlines() if (ROOT / name).is_file()]


def scan(files: Iterable[Path], root: Path = ROOT) -> list[Finding]:
    """What looks like a secret in the files, in order."""
    found = SecretsCollection(root=str(root))
    with transient_settings({"plugins_used": [{"name": name} for name in PLUGINS]}):
        for file in files:
            found.scan_file(str(file.relative_to(root)))
    return sorted(Finding(name, secret.line_number, secret.type) for name, secret in found)


def wanted(name: str) -> bool:
    """Whether a file is looked at: tests and benchmarks have passwords of their own making."""
    return not (SKIPPED.search(name) or name in KNOWN or name.startswith(("tests/", "benchmarks/")))


def main() -> int:
    """Name each finding; the exit code is 1 if there is one."""
    found = scan(ROOT / name for name in tracked() if wanted(name))
    for finding in found:
        print(f"{finding.file}:{finding.line}: {finding.kind}: take it out, and change it where it was used")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
