"""Browser session, public key, and what is accepted as an encrypted card."""

import json
from base64 import urlsafe_b64decode

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwcrypto import jwk

SESSION = "/api/v1/browser-session"
KEY = "/api/v1/payment/key"
DAY_S = 24 * 3600


def new_session(client, lifetime_s=None, **options):
    headers = {"x-firmly-app-id": client.simulator.app_id}
    if lifetime_s is not None:
        headers["x-sim-token-lifetime"] = str(lifetime_s)
    return client.http.post(SESSION, headers=headers, **options)


def claims(token):
    part = token.split(".")[1]
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_a_session_has_the_documented_fields(client):
    session = new_session(client).json()
    assert set(session) == {"device_created", "access_token", "expires_in", "expires", "device_id"}
    assert session["device_created"] is True
    assert session["expires_in"] == 3600
    told = claims(session["access_token"])
    assert set(told) == {"device_id", "app_id", "exp", "iat"}
    assert told["exp"] - told["iat"] == 3600
    assert told["exp"] == session["expires"]
    assert told["device_id"] == session["device_id"]


def test_an_unknown_app_id_is_refused_in_the_auth_pages_shape(client):
    for headers in ({}, {"x-firmly-app-id": "00000000-0000-0000-0000-000000000000"}):
        answer = client.http.post(SESSION, headers=headers)
        assert answer.status_code == 400
        assert answer.json() == {
            "error": "InvalidAppId",
            "message": "the app id is missing or unknown",
        }


@pytest.mark.parametrize("lifetime_s", [3600, -1, -6 * DAY_S])
def test_a_token_is_renewed_for_the_same_device_within_a_week(client, lifetime_s):
    old = new_session(client, lifetime_s).json()
    renewed = new_session(client, json={"access_token": old["access_token"]}).json()
    assert renewed["device_id"] == old["device_id"]
    assert renewed["device_created"] is False
    answer = client.place(headers={"x-firmly-authorization": renewed["access_token"]})
    assert answer.status_code == 200


def test_a_token_that_expired_longer_ago_is_not_renewed(client):
    old = new_session(client, -8 * DAY_S).json()
    answer = new_session(client, json={"access_token": old["access_token"]})
    assert answer.status_code == 401
    assert answer.json()["error"] == "TokenExpired"
    assert "message" in answer.json()


def test_something_that_is_no_token_is_not_renewed(client):
    for value in ("nonsense", 5, "a.b.c"):
        answer = new_session(client, json={"access_token": value})
        assert answer.status_code == 401
        assert answer.json()["error"] == "InvalidJWTToken"


def test_the_servers_token_lifetime_is_an_option(start):
    client = start(token_lifetime_s=-5)
    assert client.place().json()["error"] == "TokenExpired"


def test_the_public_key_comes_in_three_forms_of_one_key(client):
    answers = {
        form: client.http.get(KEY, params={"format": form}) for form in ("JWK", "PEM", "RSA")
    }
    kids = {answer.headers["x-firmly-kid"] for answer in answers.values()}
    assert len(kids) == 1
    as_jwk = answers["JWK"].json()
    assert set(as_jwk) == {"kid", "kty", "n", "e", "use"}
    assert {as_jwk["kid"]} == kids
    assert (as_jwk["kty"], as_jwk["use"]) == ("RSA", "enc")
    numbers = {
        load_pem_public_key(answers[form].content).public_numbers() for form in ("PEM", "RSA")
    }
    expected = jwk.JWK(kty="RSA", n=as_jwk["n"], e=as_jwk["e"]).get_op_key("verify")
    assert numbers == {expected.public_numbers()}
    assert answers["PEM"].text.startswith("-----BEGIN PUBLIC KEY-----")
    assert answers["RSA"].text.startswith("-----BEGIN RSA PUBLIC KEY-----")
    assert answers["PEM"].headers["content-type"].startswith("text/plain")


def test_an_unknown_key_format_is_refused(client):
    answer = client.http.get(KEY, params={"format": "DER"})
    assert (answer.status_code, answer.json()["error"]) == (400, "ErrorInvalidInputBody")


def test_after_a_rotation_the_key_before_is_good_and_older_ones_are_not(start):
    client = start()
    first = client.encrypt()
    client.simulator.rotate_key()
    assert client.place(encrypted_card=first).status_code == 200
    fresh = client.http.get(KEY).json()
    assert fresh["kid"] != client.key["kid"]
    client.simulator.rotate_key()
    answer = client.place(encrypted_card=first)
    assert answer.json()["error"] == "ErrorInvalidInputBody"
    assert "unknown key id" in answer.json()["description"]


def refusal(client, encrypted):
    answer = client.place(encrypted_card=encrypted)
    assert (answer.status_code, answer.json()["error"]) == (400, "ErrorInvalidInputBody")
    return answer.json()["description"]


def test_a_broken_jwe_is_refused(client):
    good = client.encrypt()
    parts = good.split(".")
    flipped = "B" if parts[3][0] == "A" else "A"
    tampered = ".".join([*parts[:3], flipped + parts[3][1:], parts[4]])
    assert "decrypted" in refusal(client, tampered)
    for text in ("", "nonsense", ".".join(parts[:4]), "a.b.c.d.e", good + "=", "x" * 10_000):
        assert refusal(client, text).startswith("encrypted_card")


def test_only_the_known_algorithms_are_accepted(client):
    assert "alg" in refusal(client, client.encrypt(alg="RSA-OAEP"))
    assert "enc" in refusal(client, client.encrypt(enc="A128GCM"))
    assert "header" in refusal(client, client.encrypt(zip="DEF"))


def test_a_jwe_for_another_key_is_refused_and_one_without_kid_accepted(client):
    other = json.loads(jwk.JWK.generate(kty="RSA", size=2048, kid="other").export_public())
    assert "unknown key id" in refusal(client, client.encrypt(key=other))
    assert "decrypted" in refusal(client, client.encrypt(key={**other, "kid": client.key["kid"]}))
    assert client.place(encrypted_card=client.encrypt(kid=None)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"number": "4111111111111112"}, "number"),
        ({"number": "4111 1111 1111 1111"}, "number"),
        ({"verification_value": "12"}, "verification_value"),
        ({"verification_value": "1234"}, "verification_value"),
        ({"number": "378282246310005"}, "verification_value"),
        ({"month": "13"}, "month"),
        ({"month": "7"}, "month"),
        ({"year": "35"}, "year"),
        ({"year": "2020"}, "expired"),
        ({"year": 2035}, "year"),
        ({"name": ""}, "name"),
        ({"cvv": "123"}, "keys"),
    ],
)
def test_a_card_that_cannot_be_right_is_refused_without_its_digits(client, card, changes, words):
    description = refusal(client, client.encrypt({**card, **changes}))
    assert words in description
    assert "4111" not in description


def test_a_plaintext_that_is_no_card_is_refused(client):
    for text in (b"nothing", b"[]", b"{}", b"null"):
        assert "plaintext" in refusal(client, client.encrypt(text))


def test_the_v5_front_ends_card_keys_are_accepted_only_leniently(client, start):
    v5 = {
        "number": "4111111111111111",
        "exp_month": "12",
        "exp_year": "35",
        "verification_value": "123",
    }
    assert "keys" in refusal(client, client.encrypt(v5))
    lenient = start(lenient_card=True)
    assert lenient.place(card=v5).status_code == 200
