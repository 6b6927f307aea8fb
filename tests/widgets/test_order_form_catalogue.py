"""What a form's page asks for while one types, and what it is answered."""

from __future__ import annotations

import pytest

from firmly_nb.widgets.order_form import OrderForm


@pytest.fixture
def ask(lab, until, monkeypatch):
    """Ask as the page does, and return the answer that was sent to it."""
    form, answers = OrderForm(lab), []
    monkeypatch.setattr(form._form, "send", answers.append)

    def ask(**question):
        form._form._handle_custom_msg({"type": "catalogue", **question}, [])
        until(lambda: answers, "the answer")
        return answers.pop()

    return ask


def test_the_merchants_that_may_be_ordered_from(ask, lab):
    answer = ask(about="merchants")
    assert answer["found"] == sorted(lab.environment.allow_domains)


def test_a_merchants_products(ask):
    answer = ask(about="products", domain="staging.luma.gift")
    assert {"handle": "radiant-tee", "title": "Radiant Tee"} in answer["found"]
    assert answer["domain"] == "staging.luma.gift"


def test_a_products_variants_with_their_options(ask, lab):
    answer = ask(about="variants", domain="staging.luma.gift", handle="radiant-tee")
    by_id = {one["variant_id"]: one for one in answer["found"]}
    assert by_id["WS12-XS-Orange"] == {
        "variant_id": "WS12-XS-Orange",
        "product_id": "WS12",
        "variant_handles": ["radiant-tee", "xs-orange"],
        "title": "Radiant Tee",
        "options": {"Size": "XS", "Color": "Orange"},
        "price": "22.00 USD",
        "available": True,
    }
    assert by_id["WS12-XL-Purple"]["available"] is False
    assert lab.variants("radiant-tee")["options"].iloc[0] == {"Size": "XS", "Color": "Orange"}


def test_a_price_in_yen_has_no_decimals(ask):
    (first, *_) = ask(about="variants", domain="sora.example.test", handle="paper-tape")["found"]
    assert first["price"] == "380 JPY"


def test_a_search_over_all_merchants(ask):
    answer = ask(about="search", words="paddle")
    assert {"domain": "harbor.example.test", "handle": "paddle", "title": "Paddle"} in (
        answer["found"]
    )
    assert answer["words"] == "paddle"


@pytest.mark.parametrize(
    "question",
    [
        {"about": "products", "domain": "nowhere.example.test"},
        {"about": "variants", "domain": "staging.luma.gift", "handle": "nothing"},
        {"about": "search", "words": ""},
    ],
)
def test_what_cannot_be_answered_is_said(ask, question):
    answer = ask(**question)
    assert answer["problem"]
    assert "found" not in answer


@pytest.mark.parametrize("domain", ["", "🛒", "two words", "a" * 300])
def test_nothing_is_asked_of_what_is_not_a_merchant(ask, domain):
    for about in ("products", "variants"):
        assert ask(about=about, domain=domain, handle="radiant-tee")["found"] == []


def test_questions_of_one_form_open_one_device(lab, until, monkeypatch):
    form, answers = OrderForm(lab), []
    monkeypatch.setattr(form._form, "send", answers.append)
    lab.session()
    opened = lab._bench.devices().opened
    for handle in ("radiant-tee", "hero-hoodie", "gobi-tee", "foam-roller"):
        question = {"type": "catalogue", "about": "variants", "domain": "staging.luma.gift"}
        form._form._handle_custom_msg({**question, "handle": handle}, [])
    until(lambda: len(answers) == 4)
    assert lab._bench.devices().opened == opened
