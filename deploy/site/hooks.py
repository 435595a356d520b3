"""Hooks of mkdocs: the pages beside docs/, links as the repository has them, nothing from another host."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from urllib.parse import quote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
BESIDE = "repository"
"""The folder of the site for the pages that stand beside docs/."""

_LINK = re.compile(r"(?P<text>!?\[[^\]]*\])\((?P<target>[^)\s]+)\)")
_FENCE = re.compile(r"^(```\w+) .*$", re.MULTILINE)
_CODE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
_LOADED = re.compile(
    r"<(?:script|img|iframe|source|video)\b[^>]*\bsrc=\"?(?:https?:)?//[^\s\">]+"
    r"|<link\b[^>]*\bhref=\"?(?:https?:)?//[^\s\">]+"
    r"|@import[^;]*//[^;]+|url\(['\"]?(?:https?:)?//[^)]+"
)


def pages_beside() -> list[Path]:
    """The pages of the repository that are not in docs/."""
    return sorted(page for folder in ("", "benchmarks", "examples") for page in (ROOT / folder).glob("*.md"))


def uri_of(path: Path) -> str | None:
    """Where a file stands in the site's sources; None if it is no part of the site."""
    if path.is_relative_to(DOCS) and path.is_file():
        return path.relative_to(DOCS).as_posix()
    return f"{BESIDE}/{path.relative_to(ROOT).as_posix()}" if path in pages_beside() else None


def path_of(uri: str) -> Path:
    """The file of a page of the site."""
    return ROOT / uri.removeprefix(f"{BESIDE}/") if uri.startswith(f"{BESIDE}/") else DOCS / uri


def relinked(markdown: str, uri: str, repository: str | None) -> str:
    """A page with links that lead somewhere in the site.

    Links to files that are no part of it lead to the repository's address, and are plain text without one.
    """

    def link(found: re.Match[str]) -> str:
        text, (name, hash_, anchor) = found["text"], found["target"].partition("#")
        if not name or "://" in name or name.startswith("mailto:"):
            return found[0]
        target = (path_of(uri).parent / name).resolve()
        if inside := uri_of(target):
            return f"{text}({posixpath.relpath(inside, posixpath.dirname(uri))}{hash_}{anchor})"
        if repository and target.is_relative_to(ROOT):
            return f"{text}({repository.rstrip('/')}/blob/main/{quote(target.relative_to(ROOT).as_posix())})"
        return text.lstrip("!")[1:-1]

    parts = _CODE.split(markdown)
    return "".join(part if part.startswith("```") else _LINK.sub(link, part) for part in parts)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages beside docs/."""
    for page in pages_beside():
        files.append(File.generated(config, f"{BESIDE}/{page.relative_to(ROOT)}", abs_src_path=str(page)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Mend links, and take off fences how a block is tested."""
    return _FENCE.sub(r"\1", relinked(markdown, page.file.src_uri, config.repo_url))


def loaded_elsewhere(text: str) -> list[str]:
    """What a file of the site loads from another host."""
    return _LOADED.findall(text)


def on_post_build(config: MkDocsConfig) -> None:
    """Fail if a page or style of the site loads anything from another host."""
    for path in Path(config.site_dir).rglob("*"):
        if path.suffix in (".html", ".css") and (found := loaded_elsewhere(path.read_text("utf-8"))):
            raise PluginError(f"{path.relative_to(config.site_dir)} loads from another host: {found}")
