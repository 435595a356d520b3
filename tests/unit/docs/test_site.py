"""The site's hooks: links lead somewhere, fences lose their marks, nothing comes from another host."""

import pytest

from deploy.site import hooks


@pytest.mark.parametrize(
    ("uri", "link", "made"),
    [
        ("README.md", "[a](rest.md#candles)", "[a](rest.md#candles)"),
        ("operations/run.md", "[a](../rest.md)", "[a](../rest.md)"),
        ("README.md", "[a](../CONTRIBUTING.md#never)", "[a](repository/CONTRIBUTING.md#never)"),
        ("repository/README.md", "[a](docs/README.md)", "[a](../README.md)"),
        ("repository/examples/README.md", "[a](../docs/batch.md)", "[a](../../batch.md)"),
        ("page.md", "![a](page.png)", "![a](page.png)"),
        ("README.md", "[a](https://example.org/b)", "[a](https://example.org/b)"),
        ("README.md", "[a](#b)", "[a](#b)"),
        ("README.md", "[`a`](../examples/sink.py)", "`a`"),
        ("README.md", "```text\n[a](../examples/sink.py)\n```", "```text\n[a](../examples/sink.py)\n```"),
    ],
)
def test_a_link_leads_to_where_it_is_in_the_site(uri, link, made):
    assert hooks.relinked(link, uri, None) == made


def test_files_of_the_repository_are_linked_where_its_address_is_known():
    made = hooks.relinked("[a](../examples/sink.py)", "README.md", "https://example.org/k2/")
    assert made == "[a](https://example.org/k2/blob/main/examples/sink.py)"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('<script src="https://example.org/a.js"></script>', True),
        ('<link rel="stylesheet" href="//example.org/a.css">', True),
        ("@import url(https://example.org/a.css);", True),
        ('<img src="a.png"><script src="assets/a.js"></script><a href="https://example.org">a</a>', False),
        ("url(data:image/svg+xml;charset=utf-8,<svg/>)", False),
    ],
)
def test_what_is_loaded_from_another_host_is_found(text, found):
    assert bool(hooks.loaded_elsewhere(text)) == found
