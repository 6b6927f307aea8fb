"""docs/verdicts.md says and shows what the code decides."""

import re
from pathlib import Path

import pytest

from firmly_nb.latency import verdict
from scripts import draw_verdicts

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "verdicts.md").read_text("utf-8")
SHOWN = sorted(re.findall(r"\]\(pictures/([\w-]+\.svg)\)", PAGE))


@pytest.fixture(scope="module")
def drawn():
    return draw_verdicts.pictures()


@pytest.mark.parametrize("name", SHOWN)
def test_a_picture_is_what_the_code_says(drawn, name):
    assert (draw_verdicts.PICTURES / name).read_text("utf-8") == drawn[name], "make docs"


def test_the_page_shows_every_picture_and_no_other(drawn):
    assert sorted(drawn) == SHOWN
    assert {path.name for path in draw_verdicts.PICTURES.glob("*.svg")} == set(drawn)


@pytest.mark.parametrize("name", draw_verdicts.EXAMPLES)
def test_below_the_picture_of_a_verdict_is_its_sentence(name):
    said = verdict.sentence(draw_verdicts.found_of(draw_verdicts.EXAMPLES[name]))
    said = said.replace("\u202f", " ").replace("\xa0", " ")
    assert f"(pictures/verdict-{name}.svg)\n\n> {said}\n" in PAGE


def test_each_verdict_has_a_heading_and_a_picture():
    known = {
        "no change",
        "slower",
        "faster",
        "fewer placed",
        "more placed",
        "slower in a stage",
        "not enough data",
        "not attributable",
        "not comparable",
    }
    examples, designs = draw_verdicts.EXAMPLES, draw_verdicts.DESIGNS
    assert known == {
        *(verdict.verdict_of(draw_verdicts.found_of(one)) for one in examples.values()),
        *(draw_verdicts.comparison_of(make()).order.verdict for make in designs.values()),
    }
    assert known <= set(re.findall(r"^### (.+)$", PAGE, re.MULTILINE))
