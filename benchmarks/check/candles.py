"""Candles: the newest revision of each window, and every one that is called final, against the truth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from benchmarks.check.truth import Fields, Window
from benchmarks.check.verdict import Verdict

_FLOAT_ERROR = 1e-9  # relative: a sum of a window's float products

AMOUNTS = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "taker_buy_volume",
    "quote_volume",
    "taker_buy_quote_volume",
)
"""The fields of a candle that are amounts, in the order in which peers write them."""


@dataclass(frozen=True, slots=True)
class Revision:
    """What a stage wrote of a window: fields by the schema's names, amounts as Fraction or float."""

    window: Window
    fields: Fields
    final: bool | None = None  # None: this stage does not say


def compare(
    revisions: Iterable[Revision],
    truth: Mapping[Window, Fields],
    required: Set[Window],
    final: Set[Window] = frozenset(),
) -> Verdict:
    """Right when each window's newest revision and each final one is, in every field that there is.

    `required` windows must be there, those of `final` must be final, none may be final twice.
    """
    newest: dict[Window, Revision] = {}
    wrong: set[Window] = set()
    finals: Counter[Window] = Counter()
    for revision in revisions:
        newest[revision.window] = revision
        if revision.final:
            finals[revision.window] += 1
            if not _same(revision, truth):
                wrong.add(revision.window)
    wrong |= {window for window, revision in newest.items() if not _same(revision, truth)}
    return Verdict(
        "candles",
        right=len(newest.keys() - wrong),
        wrong=len(wrong),
        missing=len((required - newest.keys()) | (final - finals.keys())),
        twice=sum(count - 1 for count in finals.values()),
    )


def _same(revision: Revision, truth: Mapping[Window, Fields]) -> bool:
    right = truth.get(revision.window)
    return right is not None and all(_equal(value, right[name]) for name, value in revision.fields.items())


def _equal(found: Any, right: Any) -> bool:
    if isinstance(found, float) and isinstance(right, Fraction):
        return math.isclose(found, float(right), rel_tol=_FLOAT_ERROR, abs_tol=_FLOAT_ERROR)
    return bool(found == right)
