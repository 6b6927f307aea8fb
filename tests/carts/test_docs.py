"""The page about carts names the checks that there are. Its Python is run by tests/test_docs.py."""

import re
from pathlib import Path

import firmly_nb as fnb
from firmly_nb.carts import rules
from firmly_nb.carts.rules import CHECKS
from firmly_nb.recordings.recording import Recording
from firmly_nb.recordings.recordings import Recordings

PAGE = (Path(__file__).parents[2] / "docs" / "carts.md").read_text("utf-8")


def test_the_table_of_checks_is_the_codes():
    told = re.findall(r"^\| `([\w-]+)` \| (error|warning|info) \| (.*) \|$", PAGE, re.MULTILINE)
    assert told == [(each.name, each.severity, each.meaning) for each in CHECKS.values()]


def test_the_page_counts_the_checks_that_its_order_had_something_for(lab):
    order = fnb.Order.example()
    hoodie = fnb.Item(variant_id="MH07-XS-Gray", quantity=2)
    both = lab.place(fnb.Order.example(items=[*order.items, hoodie]), progress=False)
    one = lab.place(order, progress=False)
    assert f"rec.checks  # {both.checks}\n" in PAGE
    ran = int(re.search(r"\d+", str(one.checks))[0])
    assert f"of {ran + 1} checks" in PAGE, "and one of one's own"


def test_every_table_and_field_that_is_named_exists():
    for owner, name in re.findall(r"`(recs?)\.(\w+)", PAGE):
        assert hasattr(Recording if owner == "rec" else Recordings, name), name
    known = dir(rules.CheckedCart(row=None, data={}))
    assert set(re.findall(r"`cart\.(\w+)", PAGE)) <= set(known)
