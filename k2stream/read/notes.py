"""What a reader says besides the rows: where they are from, and what could not be read."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable

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


def unread(pages: Iterable[RowPage]) -> list[MissingTier]:
    """The tiers that were missing in any page, each once."""
    return list({tier.tier: tier for page in pages for tier in page.missing}.values())


def sentence(missing: Iterable[MissingTier]) -> str:
    """What is missing, in one line."""
    return "read without " + ", ".join(f"{tier.tier} ({tier.reason})" for tier in missing)
