"""What is asked for beside the order: what cannot be is refused, and no secret is kept of it."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

import firmly_nb as fnb
from firmly_nb.options import Options

NUMBER = "4012888888881881"


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf"), 10**9, "60", None])
def test_a_limit_that_cannot_be_waited_for_is_refused_before_anything_is_sent(limit, lab):
    """The order was sent, and failed in the recorder: "it may exist, please report this"."""
    with pytest.raises(ValueError, match="timeout_s must be a number of seconds above 0"):
        lab.place(fnb.Order.example(), timeout_s=limit)
    assert lab.last is None


def test_any_limit_within_a_day_is_taken():
    assert Options(timeout_s=1).timeout_s == 1
    assert Options(timeout_s=86_400).timeout_s == 86_400


@pytest.mark.parametrize("name", ["headers", "tags"])
@pytest.mark.parametrize("value", [None, "x", [("a", "b")]])
def test_headers_and_tags_are_dicts(name, value):
    with pytest.raises(TypeError, match=rf"{name} must be a dict of texts by name.*FNB102"):
        Options(**{name: value})


def test_no_card_number_and_no_token_is_kept_as_a_tag(lab):
    token = "eyJhbGciOiJIUzI1NiJ9.eyJ4IjoxfQ.c2ln"
    tags = {
        "card": f"{NUMBER[:4]} {NUMBER[4:8]} {NUMBER[8:12]} {NUMBER[12:]}",
        token: NUMBER,
        "n": 5,
    }
    rec = lab.place(fnb.Order.example(), tags=tags, progress=False)
    assert rec.tags == {"card": "[redacted]", "[redacted]": "[redacted]", "n": "5"}
    kept = "".join(path.read_text() for path in lab.journal.rglob("*.jsonl"))
    assert NUMBER not in kept
    assert token not in kept


def test_no_card_number_gets_into_the_plan_of_a_sweep(lab):
    order, named = fnb.Order.example(), f"with {NUMBER}"
    recs = lab.sweep(order, count=1, tags={"card": NUMBER}, name=named, progress=False)
    assert recs[0].tags["card"] == "[redacted]"
    assert recs[0].tags["sweep"] == "with [redacted]"
    written = [path for path in lab.journal.rglob("*") if path.is_file()]
    assert any(path.name == f"{lab.last_sweep.run_id}.json" for path in written)
    assert not [path for path in written if NUMBER in path.read_text("utf-8", "replace")]


@pytest.mark.skipif(bool(find_spec("socksio")), reason="this httpx can use SOCKS proxies")
def test_a_socks_proxy_that_cannot_be_used_is_told_with_what_to_do(monkeypatch):
    """It was an ImportError, and in the terminal a traceback."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with (
        fnb.connect("staging", app_id="a") as lab,
        pytest.raises(fnb.FirmlyError, match=r"pip install 'httpx\[socks\]'"),
    ):
        lab.session()


def test_a_name_too_long_for_an_address_is_told(lab):
    with pytest.raises(fnb.FirmlyError, match="cannot be reached: InvalidURL") as caught:
        lab.variants("x" * 70_000)
    assert len(str(caught.value)) < 500
