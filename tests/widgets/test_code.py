"""The Python that a form shows: it runs, it places the same order, and it holds no secret."""

from __future__ import annotations

import ast
import builtins
import getpass

import pytest
from hypothesis import given
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb import environments
from firmly_nb.api.models import TEST_CARDS
from firmly_nb.widgets.code import code_for
from firmly_nb.widgets.draft import Draft, changes_for
from tests.widgets.pages import edit, press

TYPED = {"name": "Ada Canary", "month": "11", "year": "2031"}
PLAIN = {"number": TEST_CARDS["visa"], "verification_value": "917"}


class Elsewhere:
    """A lab of an environment that no test can reach."""

    simulator = None

    def __init__(self, environment):
        self.environment = environment


@pytest.fixture(scope="module")
def lab():
    """A lab with a simulator of its own, of which the code must say how it was started."""
    with fnb.connect(profile="instant", seed=11, event_names="guide") as opened:
        yield opened


def run(code):
    """Run the code as a cell would, and return what it left behind."""
    space = {}
    exec(compile(code, "cell", "exec"), space)
    return space


def test_running_it_places_the_same_order(form):
    hoodie = fnb.Item(variant_id="MH07-XS-Gray", quantity=2)
    form.order = fnb.Order.example(
        items=[*fnb.Order.example().items, hoodie], billing_info=fnb.Address.example(city="Tacoma")
    )
    form.card_name = "amex"
    space = run(form.code())
    (mine,) = form.place().wait(60)
    its = space["rec"]
    assert space["order"] == form.order
    assert repr(space["card"]) == "Card(Amex test, ends in 0005)"
    assert (its.outcome, its.domain, its.items) == ("placed", mine.domain, mine.items)
    assert its.events["event"].tolist() == mine.events["event"].tolist()
    assert its.orders["total_minor"].tolist() == mine.orders["total_minor"].tolist()
    assert space["lab"].simulator.settings.seed == 11
    space["lab"].close()


def test_several_orders_without_events_over_cold_connections(form):
    form.times, form.sse, form.warm = 3, False, False
    space = run(form.code())
    recs = space["recs"]
    assert [rec.outcome for rec in recs] == ["placed"] * 3
    assert recs.orders["connection"].astype("str").tolist() == ["cold"] * 3
    assert len(recs.events) == 0
    space["lab"].close()


def test_a_typed_card_and_a_captcha_token_are_asked_for(form, monkeypatch):
    form.card_name = "typed"
    edit(form, card=TYPED)
    form._form.captcha = [form.order.domain]
    answers = {"Card number: ": PLAIN["number"], "CVV: ": "917", "Captcha token: ": "a-token"}
    monkeypatch.setattr(getpass, "getpass", answers.get)
    monkeypatch.setattr(builtins, "input", None)
    code = form.code()
    space = run(code)
    assert space["rec"].outcome == "placed"
    assert space["order"].captcha_token.get_secret_value() == "a-token"
    assert space["card"].name == "Ada Canary"
    for secret in (PLAIN["number"], "917", "a-token"):
        assert secret not in code
    space["lab"].close()


def test_a_typed_number_that_is_a_test_card_is_named_once_it_was_placed(form):
    form.card_name = "typed"
    edit(form, card=TYPED)
    assert "getpass" in form.code()
    press(form, PLAIN).wait(60)
    assert 'fnb.Card.test("visa", name="Ada Canary", month="11", year="2031")' in form.code()
    assert PLAIN["number"] not in form.code()


def test_a_form_with_something_wrong_has_no_code(form):
    edit(form, merchant="?")
    with pytest.raises(fnb.InvalidOrder, match="domain: not a merchant domain"):
        form.code()


def test_the_open_panel_shows_the_code_as_the_form_changes(form):
    view = form._strip.view
    assert view.code == ""
    view.set_state({"shown": "code"})
    assert view.code == form.code()
    form.card_name = "discover"
    assert 'fnb.Card.test("discover")' in view.code
    edit(form, items=[])
    assert view.code == (
        "# Something in the form is not right yet.\n# items: add at least one item\n"
    )


DRAFT = Draft(**changes_for(fnb.Order.example()))


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        (environments.staging(), 'lab = fnb.connect("staging")'),
        (
            environments.custom("https://api.firmly.tools", None, frozenset()),
            (
                'lab = fnb.connect(api_url="https://api.firmly.tools", '
                'card_url="https://cc.firmly.tools", allow_domains=["staging.luma.gift"])'
            ),
        ),
    ],
)
def test_it_connects_to_where_the_form_is(environment, line):
    code = code_for(DRAFT, Elsewhere(environment))
    assert line in code.splitlines()
    assert "app_id" not in code


def test_a_merchant_beside_the_demo_is_named_to_staging():
    draft = Draft(**{**vars(DRAFT), "merchant": "shop.example.test"})
    where = Elsewhere(environments.staging(frozenset({"shop.example.test"})))
    code = code_for(draft, where)
    assert 'lab = fnb.connect("staging", allow_domains=["shop.example.test"])' in code


TEXTS = st.text(min_size=1, max_size=40).filter(lambda text: text.strip())


@given(text=TEXTS)
def test_no_text_becomes_anything_but_a_text(text):
    """Whatever is typed, the code has the same statements, and the text comes back as it was."""
    order = fnb.Order.example(
        shipping_info=fnb.Address.example(city=text), items=[fnb.Item(variant_id=text)]
    )
    code = code_for(Draft(**changes_for(order)), Elsewhere(environments.staging()))
    usual = code_for(DRAFT, Elsewhere(environments.staging()))
    kinds = [type(one) for one in ast.parse(code).body]
    assert kinds == [type(one) for one in ast.parse(usual).body]
    texts = [one.value for one in ast.walk(ast.parse(code)) if isinstance(one, ast.Constant)]
    assert texts.count(order.shipping_info.city) >= 2
