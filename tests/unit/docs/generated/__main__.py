"""Writes the parts of the pages that are made from the code: `python -m tests.unit.docs.generated`."""

from tests.unit.docs.generated.parts import PAGES, filled

for page in PAGES:
    page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
