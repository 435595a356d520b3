"""The mutants of `make mutate` are what they say."""

from pathlib import Path

import pytest

from tests.mutation.listed import LISTED
from tests.mutation.mutants import line_of, mutants

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("each", LISTED, ids=lambda each: each.what)
def test_a_listed_mutant_is_of_the_code_as_it_is(each):
    """Where the line has moved or changed: tests/mutation/listed.py."""
    assert (ROOT / each.path).read_text().count(each.old) == 1
    file, _, name = each.test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text()


SOURCE = b'''
def f(a, b, log):
    """Nothing of this."""
    log.info("nor of this: %d", a + 1)
    if a < 10 and b is not None:
        b.go(a, True)
    return [x for x in a if x] * 2
'''


def test_each_kind_of_mutant():
    changes = {(mutant.kind, line_of(mutant, SOURCE)) for mutant in mutants("f.py", SOURCE)}
    assert changes == {
        ("condition", "if ⟦a < 10 and b is not None → not (a < 10 and b is not None)⟧:"),
        ("comparison", "if a ⟦< → <=⟧ 10 and b is not None:"),
        ("constant", "if a < ⟦10 → (10 + 1)⟧ and b is not None:"),
        ("constant", "if a < ⟦10 → (10 - 1)⟧ and b is not None:"),
        ("boolean", "if a < 10 ⟦and → or⟧ b is not None:"),
        ("comparison", "if a < 10 and b ⟦is not → is⟧ None:"),
        ("statement", "⟦b.go(a, True) → pass⟧"),
        ("arguments", "b.go(⟦a, True → True, a⟧)"),
        ("constant", "b.go(a, ⟦True → False⟧)"),
        ("condition", "return [x for x in a if ⟦x → not (x)⟧] * 2"),
        ("operator", "return [x for x in a if x] ⟦* → //⟧ 2"),
        ("constant", "return [x for x in a if x] * ⟦2 → (2 + 1)⟧"),
        ("constant", "return [x for x in a if x] * ⟦2 → (2 - 1)⟧"),
    }
