"""No frame of ours holds a secret in the open: tracebacks can show the locals of each.

``%xmode Verbose``, rich and crash reporters do, and what they write lands in saved notebooks.
"""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from pathlib import Path

import pytest

import firmly_nb as fnb
from firmly_nb.api.card import PublicKey, encrypt_card

NUMBER, CVV, CAPTCHA, APP_ID = "4012888888881881", "9371", "planted-captcha", "planted-app-id"
WRONG_CARD = {"number": NUMBER + "x", "verification_value": CVV, "month": "1", "year": "2030"}
PRODUCTION = "https://api.firmly.online"


def told_by(call):
    """Return everything that can be read from what a call raises, but for the test's own frames."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each case has its own
        call()
    told, error = [], caught.value
    while error is not None:
        told += [repr(error), str(error), str(vars(error)), str(getattr(error, "object", ""))]
        walked = traceback.walk_tb(error.__traceback__)
        frames = traceback.StackSummary.extract(walked, capture_locals=True)
        told += [str(frame.locals) for frame in frames if Path(frame.filename) != Path(__file__)]
        error = error.__cause__ or error.__context__
    return "\n".join(told)


WRONG_INPUT = {
    "number": lambda: fnb.Card.test(number=NUMBER + "x", verification_value=CVV),
    "number that is no text": lambda: fnb.Card.test(number=int(NUMBER)),
    "month": lambda: fnb.Card(number=NUMBER, verification_value=CVV, month="1", year="2030"),
    "captcha token": lambda: fnb.Order.example(captcha_token=[CAPTCHA]),
    "domain": lambda: fnb.Order.example(domain="?", captcha_token=CAPTCHA),
    "number set later": lambda: setattr(fnb.Card.test(), "number", NUMBER),
    "captcha token set later": lambda: setattr(fnb.Order.example(), "captcha_token", CAPTCHA),
    **{
        f"{way} of {kind}": lambda way=way, given=given: getattr(fnb.Card, way)(given())
        for way, written in [
            ("model_validate", dict),
            ("model_validate_json", json.dumps),
            ("model_validate_json", lambda card: json.dumps(card)[:-1]),
            ("model_validate_strings", dict),
        ]
        for kind, given in [
            ("a wrong number", lambda w=written: w(WRONG_CARD)),
            ("an unknown field", lambda w=written: w({**WRONG_CARD, "number": NUMBER, NUMBER: 1})),
        ]
    },
    "production": lambda: fnb.connect(api_url=PRODUCTION, app_id=APP_ID),
    "user name in a URL": lambda: fnb.connect(api_url=f"https://{APP_ID}@127.0.0.1"),
    "password in a URL": lambda: fnb.connect(api_url=f"https://x:{APP_ID}@api.test", app_id="a"),
    "environment": lambda: fnb.connect("stagin", app_id=APP_ID),
    "two environments": lambda: fnb.connect("staging", api_url=PRODUCTION, app_id=APP_ID),
    "option": lambda: fnb.connect("staging", app_id=APP_ID, profile="calm"),
    "allow-list": lambda: fnb.connect("staging", app_id=APP_ID, allow_domains=["*"]),
    "dash": lambda: fnb.connect("staging", app_id=APP_ID + "\u2013"),
    "key": lambda: encrypt_card(
        fnb.Card.test(number=NUMBER, verification_value=CVV),
        PublicKey("k", {"kty": "RSA", "n": "!!!", "e": "AQAB"}),
    ),
}


@pytest.mark.parametrize("name", WRONG_INPUT)
def test_no_traceback_of_wrong_input_holds_a_secret(name):
    told = told_by(WRONG_INPUT[name])
    assert not [secret for secret in (NUMBER, CVV, CAPTCHA, APP_ID) if secret in told]


def test_no_traceback_of_a_call_holds_the_app_id_or_the_token(connect, lab):
    stranger = connect(app_id=APP_ID)
    for call in (stranger.session, lambda: stranger.place(fnb.Order.example(), progress=False)):
        assert APP_ID not in told_by(call)
    lab.session()
    token = lab._bench.devices().free[0].session.access_token.get_secret_value()
    told = told_by(lambda: lab.variants("nothing"))
    assert "ErrorProductNotFound" in told
    assert token not in told
    for run_id in (object(), "\ud800"):
        told = told_by(lambda run_id=run_id: lab.place(fnb.Order.example(), run_id=run_id))
        assert "run_id" in told
        assert token not in told
        assert "eyJhbGciOiJSU0EtT0FFUC0yNTYi" not in told  # how each encrypted card begins


@pytest.mark.parametrize("write", [pickle.dumps, lambda lab: pickle.dumps([lab], 2)])
def test_no_secret_gets_into_a_pickle(write, connect):
    card = fnb.Card.test(number=NUMBER, verification_value=CVV)
    for thing in (card, fnb.Order.example(captcha_token=CAPTCHA), connect(app_id=APP_ID)):
        with pytest.raises(TypeError, match="pickled"):
            write(thing)
    assert pickle.loads(write(fnb.Order.example()))


def test_what_holds_a_secret_is_copied_where_that_makes_sense(lab):
    card = fnb.Card.test(number=NUMBER)
    order = fnb.Order.example(captcha_token=CAPTCHA)
    assert copy.deepcopy([card, order]) == [card, order]
    assert copy.copy(card).number == card.number
    for write in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=r"fnb\.connect"):
            write(lab)
