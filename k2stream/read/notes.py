"""What a reader says besides the rows: where they are from, and what could not be read."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator

import pyarrow as pa

from k2stream.history.reader import MissingTier
from k2stream.read.source import RowPage, Source


class IncompleteRead(UserWarning):
    """A store could not be read, so rows that only it has are missing."""


def noted(rows: pa.Table, source: Source, pages: Iterable[RowPage]) -> pa.Table:
    """The rows with the keys k2.source, k2.simulated and k2.missing in the metadata of their schema.

    Warns once if anything is missing.
    """
    missing = unread(pages)
    if missing:
        warnings.warn(sentence(missing), IncompleteRead, stacklevel=3)
    simulated = {True: "true", False: "false", None: ""}[source.simulated]
    notes = {
        "k2.source": source.where,
        "k2.simulated": simulated,
        "k2.missing": json.dumps([tier._asdict() for tier in missing]),
    }
    return rows.replace_schema_metadata(notes)


def kept(pages: Iterable[RowPage], into: list[RowPage]) -> Iterator[RowPage]:
    """The pages; each is also put into a list, without its rows."""
    for page in pages:
        into.append(page._replace(rows=page.rows.schema.empty_table()))
        yield page


def told(pages: Iterable[RowPage], known: Iterable[MissingTier]) -> Iterator[RowPage]:
    """The pages; warns of each tier that was missing in one and is not `known`."""
    names = {tier.tier for tier in known}
    for page in pages:
        if new := [tier for tier in page.missing if tier.tier not in names]:
            names |= {tier.tier for tier in new}
            warnings.warn(sentence(new), IncompleteRead, stacklevel=2)
        yield page


def unread(pages: Iterable[RowPage]) -> list[MissingTier]:
    """The tiers that were missing in any page, each once."""
    return list({tier.tier: tier for page in pages for tier in page.missing}.values())


def sentence(missing: Iterable[MissingTier]) -> str:
    """What is missing, in one line."""
    return "read without " + ", ".join(f"{tier.tier} ({tier.reason})" for tier in missing)
