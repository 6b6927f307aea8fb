"""Each rule of ``scripts/check_pages.py`` finds a planted fault, and nothing in a page without."""

import doctest
from pathlib import Path

import pytest

from scripts import check_pages
from scripts.check_pages import (
    Block,
    anchors,
    citation_problems,
    commands_of,
    docstring_problems,
    prose_problems,
    read_page,
    sentences,
    slug,
    snippet_problems,
)

ROOT = Path(__file__).parents[1]


def of_prose(text, page="docs/page.md"):
    return [problem.said for problem in prose_problems(page, read_page(text)[0])]


def of_code(*blocks):
    made = [Block(10 * number, "python", code) for number, code in enumerate(blocks, 1)]
    return [problem.said for problem in snippet_problems("page.md", made)]


def of_citations(text, where="docs/page.md"):
    return [each.said for each in citation_problems(text, where, ROOT / "docs")]


def test_the_examples_of_the_script_are_right():
    assert doctest.testmod(check_pages).failed == 0


@pytest.mark.parametrize(
    "text",
    [
        "You place an order. The recorder keeps it.",
        "Where do I change the colour? See the table.",
        "- **What** is it called?",
        "No secret is kept. It is no longer there.",
        "Also listed are the others.",
        "Too few orders.",
        "| what | where it is |\n| --- | --- |\n| `is no x` | fine |",
        "```\nWhere the shop is no shop, too\n```",
        "<!-- Where a shop is no shop -->",
        "Often `a shop` is fine.",
        "word " * 30,
    ],
)
def test_a_page_by_the_rules_has_no_problem(text):
    assert of_prose(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Where a stage is missing, it is null.", "'Where'"),
        ("It ends. Of these, two are left.", "'Of'"),
        ("- What you see is new.", "'What'"),
        ("> Who asks is told.", "'Who'"),
        ("**Where** it is, is unknown.", "'Where'"),
        ("This is no host.", "'is no'"),
        ("These are no events.", "'are no'"),
        ("It is printed, too.", "', too'"),
        ("Masked, also where nobody looks.", "also"),
        ("The shop sells it.", "'shop'"),
        ("# How the guard works", "'guard'"),
        ("Read the figures.", "'figures'"),
        ("| a | b |\n| --- | --- |\n| the shop | x |", "'shop'"),
        ("One\ntwo ends,\ntoo.", "too"),
        ("word " * 31, "31 words"),
        ("- " + "word " * 31, "31 words"),
        ("| a |\n| --- |\n| " + "word " * 31 + "|", "31 words"),
        ("[" + "word " * 31 + "](x)", "31 words"),
    ],
)
def test_a_planted_fault_is_found(text, said):
    found = of_prose(text)
    assert any(said in each for each in found), found


def test_a_problem_names_its_line():
    parts = read_page("# Title\n\nFine.\n\n```\ncode\n```\n\n- Where it is.\n")[0]
    assert [problem.line for problem in prose_problems("page.md", parts)] == [9]


def test_a_link_and_code_are_words_of_a_sentence_only_by_their_text():
    [part] = read_page("See [the page](a/very/long/path.md#x) and `a b c`.")[0]
    assert check_pages.plain(part.text) == "See the page and CODE."


def test_an_abbreviation_and_a_number_end_no_sentence():
    assert len(sentences("It takes 2.5 s, e.g. here, on 3.11. Done.")) == 2


def test_tables_that_quote_a_program_are_not_judged_by_their_words():
    cell = "| a |\n| --- |\n| the shop is no shop |"
    assert of_prose(cell, "docs/tables.md") == []
    assert of_prose(cell, "docs/latency.md")


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Does the order exist?", "does-the-order-exist"),
        ("p50, p90 and p95", "p50-p90-and-p95"),
        ("`events`", "events"),
        ("stored_orders", "stored_orders"),
        ("Where do I change ...", "where-do-i-change-"),
        ("A & B", "a--b"),
        ("[A link](x.test) here", "a-link-here"),
    ],
)
def test_anchors_are_those_of_github(heading, anchor):
    assert slug(heading) == anchor


def test_equal_headings_are_numbered_and_code_has_none():
    assert anchors("# A\n## B\n## B\n```\n# no\n```\n## B\n") == {"a", "b", "b-1", "b-2"}


@pytest.mark.parametrize(
    "text",
    [
        "[tables](tables.md#orders) and [here](#a)\n\n## A\n",
        "See docs/tables.md, ``ORDERS`` in docs/tables.md and README.md.",
        "[picture](https://nowhere.test/no.md)",
        "RFC 9110, section 5.5; a book of 1999, section 3.2",
        "[carts](<carts.md#the-checks>)",
    ],
)
def test_what_exists_may_be_cited(text):
    assert of_citations(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[x](missing.md)", "missing.md does not exist"),
        ("[x](tables.md#missing)", "no section #missing"),
        ("[x](#missing)", "no section #missing"),
        ("as metrics.md says", "metrics.md does not exist"),
        ("as docs/missing.md says", "docs/missing.md does not exist"),
        ("as docs/tables.md#missing says", "no section #missing"),
        ("see ``MISSING`` in docs/tables.md", "docs/tables.md has no missing"),
        ("as section 7 says", "numbers its sections"),
        ("[x](../benchmarks/missing.py)", "does not exist"),
    ],
)
def test_what_does_not_exist_may_not_be_cited(text, said):
    assert any(said in each for each in of_citations(text)), of_citations(text)


def test_links_of_a_simulators_page_and_names_in_its_json_are_citations():
    assert of_citations('<a href="docs/missing.md">x</a>', "page.html")
    assert of_citations('{"description": "see docs/missing.md"}', "openapi.json")
    assert not of_citations('<a href="/openapi.json">x</a>', "page.html")


def test_links_in_code_are_not_links_but_names_are_looked_up():
    assert not of_citations("x = a[0](b)", "module.py")
    assert of_citations('PAGE = "missing.md"', "module.py")


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        (["print(fnb)"], "fnb is defined in no block before"),
        (["x = ("], "not Python"),
        (["import firmly_nb as fnb\nfnb.conect()"], "fnb has no conect"),
        (["import firmly_nb as fnb\nlab = fnb.connect()\nlab.plac()"], "lab has no plac"),
        (["from firmly_nb.latency import wilsn"], "firmly_nb.latency shows no wilsn"),
        (['import firmly_nb as fnb\nfnb.connect("staging")'], "begin with"),
        (["# Not run by the tests: slow\nx = 'staging'"], "begin with"),
    ],
)
def test_code_that_cannot_run_is_found(blocks, said):
    assert any(said in each for each in of_code(*blocks)), of_code(*blocks)


def test_code_may_use_what_an_earlier_block_defines():
    first = "import firmly_nb as fnb\nlab = fnb.connect()"
    second = "for n in range(3):\n    rec = lab.place(fnb.Order.example())\n[r for r in [rec]]"
    assert of_code(first, second) == []
    assert of_code(second)


def test_staging_may_be_left_out_with_its_reason_and_is_still_looked_at():
    reason = "# Not run by the tests: firmly's staging environment needs an app id.\n"
    code = 'import firmly_nb as fnb\nlab = fnb.connect("staging")\n'
    assert of_code(reason + code) == []
    assert of_code(f"{reason}{code}lab.plac()") == ["lab has no plac"]


def test_commands_are_held_to_the_options_that_there_are():
    def of_command(line):
        return [each.said for each in snippet_problems("page.md", [Block(1, "sh", line)])]

    assert of_command("firmly-nb sweep --count 3 \\\n  --tag a=b  # --nothing\n") == []
    assert of_command("$ firmly-nb sim --port 8010\n") == []
    assert of_command("firmly-nb sweep --cuont 3\n") == [
        "firmly-nb sweep: --cuont is not an option"
    ]
    assert of_command("firmly-nb swep\n") == ["firmly-nb swep: there is no such command"]
    assert commands_of("make test\nfirmly-nb demo\n") == ["firmly-nb demo"]


@pytest.mark.parametrize(
    "said",
    ["What it is.", "How it ends.", "Whether it is.", "Those of all.", "Something that ends.",
     "When it ends.", "Where it is.", "Who asks.", "Of many orders.", "It is no host."],
)  # fmt: skip
def test_a_docstring_without_its_subject_is_found(said, tmp_path):
    module = tmp_path / "module.py"
    module.write_text(f'def f():\n    """{said}"""\n', "utf-8")
    assert [problem.line for problem in docstring_problems(module)] == [2]


def test_a_docstring_that_begins_with_its_subject_is_fine(tmp_path):
    module = tmp_path / "module.py"
    text = '"""Outcomes."""\n\n\nclass A:\n    """An outcome; None where it is not known."""\n'
    module.write_text(text, "utf-8")
    assert list(docstring_problems(module)) == []


def test_a_docstring_may_be_a_question(tmp_path):
    module = tmp_path / "module.py"
    module.write_text('def f():\n    """Where are orders lost? Counts by milestone."""\n', "utf-8")
    assert list(docstring_problems(module)) == []
