"""The page about carts names the checks that there are. Its Python is run by tests/test_docs.py."""

import re
from pathlib import Path

from firmly_nb.carts import rules
from firmly_nb.carts.rules import CHECKS
from firmly_nb.recordings.recordings import Recording, Recordings

PAGE = (Path(__file__).parents[2] / "docs" / "carts.md").read_text("utf-8")


def test_the_table_of_checks_is_the_codes():
    told = re.findall(r"^\| `([\w-]+)` \| (error|warning|info) \| (.*) \|$", PAGE, re.MULTILINE)
    assert told == [(each.name, each.severity, each.meaning) for each in CHECKS.values()]
    assert f"✓ {len(CHECKS)} checks" in PAGE
    assert f"of {len(CHECKS) + 1} checks" in PAGE


def test_every_table_and_field_that_is_named_exists():
    for owner, name in re.findall(r"`(recs?)\.(\w+)", PAGE):
        assert hasattr(Recording if owner == "rec" else Recordings, name), name
    known = dir(rules.CheckedCart(row=None, data={}))
    assert set(re.findall(r"`cart\.(\w+)", PAGE)) <= set(known)
