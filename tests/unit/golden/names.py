"""Every stored or public name, as the code has it; `python -m tests.unit.golden.names` writes names.txt."""

import os
import pkgutil
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

GOLDEN = Path(__file__).with_name("names.txt")


class Section(NamedTuple):
    """Names of one kind: where the code has them, and what a change of one that was released breaks."""

    found: str
    breaks: str


SECTIONS = {
    "topics": Section(
        "stored.declared_topics",
        "Records under the old name are never read again, and whoever reads the topic reads no new ones.",
    ),
    "consumer groups": Section(
        "stored.groups",
        "A worker of a new group has no offsets: it begins anew, beside what still runs of the last release.",
    ),
    "tables": Section(
        "stored.tables",
        "A table of a new name has an empty changelog: its state is lost, `k2 table` finds none.",
    ),
    "changelogs": Section(
        "stored.changelogs",
        "A new changelog is empty: positions and open windows are lost, and repeats count again.",
    ),
    "changelog entries": Section(
        "stored.changelog_entries",
        "Entries of the last release are misread or not found. A new layout needs a new version byte.",
    ),
    "structs": Section(
        "structs.structs",
        "What was written under an old key, or at another place of an array, is not read. New keys need a "
        "default, new places go to the end. (The class before the dot is not stored.)",
    ),
    "records": Section(
        "stored.records",
        "A record or batch written before is not recognised: it is put back, lifted or inserted twice.",
    ),
    "avro": Section(
        "stored.schemas",
        "The registry refuses a schema that cannot read old records. New fields: at the end, with a default.",
    ),
    "migrations": Section(
        "stored.migrations",
        "A database where the file was applied refuses to start. Leave it as it is, and add the next number.",
    ),
    "clickhouse": Section(
        "stored.clickhouse",
        "Queries and dashboards of others fail, and a column that inserts do not name stays empty.",
    ),
    "iceberg": Section(
        "stored.iceberg",
        "Tables that exist have other columns: the cold worker refuses them. New columns go to the end.",
    ),
    "snapshots": Section(
        "stored.snapshots",
        "Positions of earlier commits are not found: rows are appended twice, or a location has no owner.",
    ),
    "metrics": Section("public.metrics", "Alerts and dashboards (deploy/, and everybody's own) go blind."),
    "settings": Section(
        "public.variables", "A K2_ variable that does not exist ends a worker: deployments do not start."
    ),
    "commands": Section("public.commands", "Scripts, runbooks and what error messages name fail."),
    "routes": Section("public.routes", "Clients get a 404, or miss a key of the answer."),
}


def collected() -> dict[str, list[str]]:
    """The names of each section, sorted. Imports everything, and makes the apps: for a process of its own."""
    import k2stream

    for module in pkgutil.walk_packages(k2stream.__path__, "k2stream."):
        if module.name not in ("k2stream.__main__", "k2stream.agents.ingest"):
            import_module(module.name)
    return {title: sorted(set(_names(section.found))) for title, section in SECTIONS.items()}


def _names(place: str) -> Iterable[str]:
    module, _, function = place.partition(".")
    found: Callable[[], Iterable[str]] = getattr(import_module(f"tests.unit.golden.{module}"), function)
    return found()


def written(sections: dict[str, list[str]]) -> str:
    """The text of the golden file."""
    return "\n".join("\n".join([f"[{title}]", *names, ""]) for title, names in sections.items())


def read(text: str) -> dict[str, list[str]]:
    """The sections of a golden file."""
    sections: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("[") and line.endswith("]"):
            names = sections.setdefault(line[1:-1], [])
        elif line:
            names.append(line)
    return sections


def main() -> None:
    """Write the golden file, or print what it should be (`--print`)."""
    for name in [name for name in os.environ if name.startswith("K2_")]:
        del os.environ[name]
    text = written(collected())
    if sys.argv[1:] == ["--print"]:
        print(text, end="")
    else:
        GOLDEN.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
