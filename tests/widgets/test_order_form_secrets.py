"""What is typed in secret: taken once, made into a card and a token, and found nowhere else."""

from __future__ import annotations

import gc
import json
import logging
import traceback

import orjson
import pytest

import firmly_nb as fnb
from firmly_nb.widgets.form_page import MOST_SECRETS, take_secrets
from tests.widgets.pages import edit

CANARY = {
    "number": "3782 8224-6310 005",
    "verification_value": "8317",
    "captcha_token": "captcha-canary-Zq7kP0vX",
}
DIGITS = "378282246310005"
TYPED = {"name": "Ada", "month": "11", "year": "2031"}


@pytest.fixture
def form(form):
    """A form in which a card is typed."""
    edit(form, card_name="typed", card=TYPED)
    return form


def deliver(form, secrets, **changes):
    """Hand a message to the widget as the kernel does, with every log on."""
    content = {"type": "place", "turn": form._form.turn}
    buffers = [memoryview(orjson.dumps(one)) for one in (secrets, changes)]
    message = {"content": {"data": {"method": "custom", "content": content}}, "buffers": buffers}
    form._form.comm.handle_msg(message)


def searched(form, home, *more):
    """Everything that could hold a secret, as one text."""
    views = (form._form, form._strip.view, form.timeline, form.cart_view, form)
    states = [view.get_state() for view in views]
    shown = [repr(form), repr(form._form), form._repr_mimebundle_(), form.error]
    held = [vars(form), form._run and vars(form._run), form.recordings.orders.to_dict()]
    files = [p.read_text("utf-8", "replace") for p in home.rglob("*") if p.is_file()]
    return "\n".join(map(repr, [states, shown, held, files, *more]))


@pytest.mark.parametrize("ending", ["placed", "refused", "guarded", "wrong card", "declined"])
def test_no_typed_secret_is_anywhere_afterwards(form, home, caplog, capsys, until, ending):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("Comm").setLevel(logging.DEBUG)
    secrets, changes = dict(CANARY), {}
    if ending == "refused":
        changes = {"items": [{"variant_id": "FAULT-INVALID-INPUT", "quantity": 1, "raw": True}]}
    elif ending == "declined":
        changes = {"items": [{"variant_id": "FAULT-PAYMENT-DECLINED", "quantity": 1}]}
    elif ending == "guarded":
        changes = {"merchant": "bestbuy.com"}
    elif ending == "wrong card":
        secrets["number"] = f"{CANARY['number']} 12345678"
    deliver(form, secrets, **changes)
    if form._run:
        form._run.wait(60)
    until(lambda: not form.running)
    form.save_preset("typed")
    expected = {"placed": "placed", "refused": "http_error", "declined": "error_event"}
    assert (form.recording.outcome if form.recording else "none") == expected.get(ending, "none")
    assert "handle_msg" in caplog.text, "the log that tells most was on"
    code = "" if form.problems else form.code()
    texts = searched(form, home, caplog.text, capsys.readouterr(), code)
    for secret in (DIGITS, CANARY["number"], CANARY["captcha_token"]):
        assert secret not in texts
        assert json.dumps(secret) not in texts
    for cvv in ('"8317"', "'8317'"):
        assert cvv not in texts
    assert form.order is None or form.order.captcha_token is None


def test_what_held_a_card_lets_go_of_it(form, until):
    edit(form, card={**TYPED, "name": "Held Once"})
    deliver(form, CANARY)
    run = form._run
    run.wait(60)
    assert form.recording.outcome == "placed"
    until(lambda: run._start is None)

    def held():
        gc.collect()
        # Other tests leave cards that were never finished; of this one the name tells.
        cards = [one for one in gc.get_objects() if isinstance(one, fnb.Card)]
        return [one for one in cards if vars(one).get("name") == "Held Once"]

    until(lambda: not held(), "the card's end")


def test_outside_of_the_simulator_only_test_cards_are_taken(form, until):
    """The shared lab is at an address of its own, so the guard does not take it for a simulator."""
    deliver(form, {**CANARY, "number": "4929 1234 5678 9012"})
    assert form.error.startswith("Nothing was sent. The card is not a well-known test card; ")
    assert form._run is None
    assert "4929" not in form.error


def test_a_wrong_card_is_said_without_its_digits(form):
    deliver(form, {**CANARY, "number": "378", "verification_value": "x"})
    assert form.error == (
        "Nothing was sent. Card is not valid:\n"
        "  number: must be 12 to 19 digits.\n"
        "  verification_value: must be 3 or 4 digits. [FNB101]"
    )


JUNK = [b"", b"{", b"[]", b"7", b'{"pin": "1234-canary"}', b"\xff\xfe-canary", b"null"]


@pytest.mark.parametrize("buffer", [*JUNK, b'{"number": "1"}' + b" " * MOST_SECRETS])
def test_a_buffer_that_cannot_be_read_is_never_quoted(buffer):
    with pytest.raises(ValueError, match="cannot be read") as caught:
        take_secrets(memoryview(buffer))
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_where_nothing_was_typed_there_is_nothing():
    typed = take_secrets(b"{}")
    assert [one.get_secret_value() for one in (typed.number, typed.captcha_token)] == ["", ""]
    assert "SecretStr('')" in repr(typed)
