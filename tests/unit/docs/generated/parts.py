"""The parts of pages that are made from the code: between `<!-- generated: NAME -->` and `<!-- end -->`."""

import re
from collections.abc import Callable

from tests.unit.docs.generated import dictionary, metrics, routes
from tests.unit.docs.pages import ROOT

PARTS: dict[str, Callable[[], str]] = {
    "metrics": metrics.metrics_table,
    "topics": dictionary.topics_table,
    "trade": lambda: dictionary.record("trade"),
    "candle": lambda: dictionary.record("candle"),
    "raw": dictionary.raw_records,
    "events": dictionary.events,
    "hot": dictionary.hot_tables,
    "hot-columns": dictionary.further_columns,
    "views": dictionary.views,
    "cold": dictionary.cold_tables,
    "routes": routes.routes,
    "objects": routes.objects,
    "messages": routes.messages,
}

_PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

PAGES = [ROOT / "docs" / name for name in ("data-dictionary.md", "reference.md", "operations/watch.md")]


def filled(page: str) -> str:
    """The page with every part made anew. Raises KeyError for a part of no such name."""
    return _PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n\n{part[3]}", page)
