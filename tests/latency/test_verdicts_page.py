"""docs/verdicts.md says and shows what the code decides."""

import re
from pathlib import Path

import pytest

from firmly_nb.latency import verdict
from scripts import draw_verdicts

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "verdicts.md").read_text("utf-8")
DRAWN = draw_verdicts.pictures()
SAID = {
    f"verdict-{name}.svg": verdict.sentence(draw_verdicts.found_of(one))
    for name, one in draw_verdicts.EXAMPLES.items()
}
WORDS = {
    verdict.verdict_of(draw_verdicts.found_of(one)) for one in draw_verdicts.EXAMPLES.values()
} | {draw_verdicts.comparison_of(make()).order.verdict for make in draw_verdicts.DESIGNS.values()}


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_what_the_code_says(name):
    assert (draw_verdicts.PICTURES / name).read_text("utf-8") == DRAWN[name], "make docs"


def test_the_page_shows_every_picture_and_no_other():
    assert sorted(re.findall(r"\]\(pictures/([\w-]+\.svg)\)", PAGE)) == sorted(DRAWN)
    assert {path.name for path in draw_verdicts.PICTURES.glob("*.svg")} == set(DRAWN)


@pytest.mark.parametrize("name", SAID)
def test_below_the_picture_of_a_verdict_is_its_sentence(name):
    said = SAID[name].replace("\u202f", " ").replace("\xa0", " ")
    assert f"(pictures/{name})\n\n> {said}\n" in PAGE


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
    assert known == WORDS
    assert known <= set(re.findall(r"^### (.+)$", PAGE, re.MULTILINE))
