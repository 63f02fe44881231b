"""The Python on the pages runs, and prints what the pages say it prints."""

from __future__ import annotations

import documented_code
import pytest

PAGES = [
    *sorted(path.relative_to(documented_code.DOCS).as_posix() for path in documented_code.DOCS.glob("models/*.md")),
    "calibration-maps.md",
    "calibrating-to-people.md",
    "next-pairs.md",
    "pair-judges.md",
    "people-who-disagree.md",
    "prior-sensitivity.md",
]


@pytest.mark.example
@pytest.mark.parametrize("page", PAGES)
def test_page_prints_what_it_says(page):
    outputs = documented_code.run(page)
    assert any(claimed for claimed, _ in outputs)
    for claimed, printed in outputs:
        assert documented_code.same_text(claimed or "", printed), f"{page} says\n{claimed}\nbut prints\n{printed}"


@pytest.mark.example
def test_calls_for_those_who_come_from_another_program():
    """Every call in the middle column of the tables runs on the tables that the page makes."""
    names: dict[str, object] = {}
    documented_code.run("coming-from.md", names=names)
    found = dict.fromkeys(documented_code.calls("coming-from.md"))
    assert len(found) > 60
    for call in found:
        assert eval(call, names) is not None, call


def test_another_number_is_noticed():
    assert documented_code.same_text("ann  -0.52\n", "ann -0.53\n")
    assert not documented_code.same_text("ann -0.52\n", "ann -0.54\n")
    assert not documented_code.same_text("ann -0.52\n", "bob -0.52\n")
    assert not documented_code.same_text("", "ann\n")
