"""The command that does what an order did: it runs, and nothing in it is read by the shell."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb.api.card import encrypt_card
from firmly_nb.api.client import FirmlyClient
from firmly_nb.api.secrets import SecretStr
from firmly_nb.exchange import curl
from firmly_nb.recorder.records import Start


def start(**changes):
    values = {
        "recording_id": "r1",
        "started_at_ns": 0,
        "environment": "simulator",
        "domain": "shop.example",
        "items": [{"variant_id": "v", "quantity": 1}],
        "sse": True,
        "connection": "warm",
        "timeout_s": 60.0,
    }
    return Start(**values | changes)


def arguments(command, **variables):
    """Run the command with a `curl` that prints its arguments, one between two zero bytes."""
    function = "curl() { printf '%s\\0' \"$@\"; }\n"
    run = subprocess.run(
        ["sh", "-c", function + command], env=variables, capture_output=True, check=True, text=True
    )
    return run.stdout.split("\0")[:-1]


async def secrets(simulator):
    """Return a token and an encrypted card, as a user would fill them in."""
    async with httpx.AsyncClient(trust_env=False) as http:
        client = FirmlyClient(http, simulator.url, simulator.url)
        session = await client.browser_session(SecretStr(simulator.app_id))
        key = await client.payment_key()
    return session.access_token.get_secret_value(), encrypt_card(fnb.Card.test(), key)


@pytest.mark.parametrize("sse", [True, False])
def test_it_places_the_order_again_once_the_variables_are_set(simulator, lab, sse):
    rec = lab.place(fnb.Order.example(), progress=False, sse=sse)
    token, card = asyncio.run(secrets(simulator))
    set_by_user = {"FIRMLY_TOKEN": token, "ENCRYPTED_CARD": card}
    given = arguments(rec.curl(), FIRMLY_CARD_URL=simulator.url, **set_by_user)
    of = dict(itertools.pairwise(given))
    headers = [value for flag, value in itertools.pairwise(given) if flag == "--header"]
    answer = httpx.request(
        of["--request"],
        given[given.index("--request") + 2],
        headers=dict(header.split(": ", 1) for header in headers),
        content=of["--data-binary"],
        trust_env=False,
    )
    assert answer.status_code == 200
    assert ("event: order-placed" in answer.text) == sse
    assert "order_number" in answer.text


def test_staging_has_a_host_of_its_own_and_nothing_secret_or_personal_is_in_it():
    command = curl(start(environment="staging", personal=["Grace Hopper"]))
    assert "https://cc.firmly.work" in command
    assert "FIRMLY_CARD_URL" not in command
    assert "Hopper" not in command
    assert '"$ENCRYPTED_CARD"' in command
    assert '$FIRMLY_TOKEN"' in command


WRITTEN = ["$(id)", "`id`", "'; id; '", "\\", '"', "$ENCRYPTED_CARD", "!!", "\n", "--help"]
HOSTILE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@settings(max_examples=30, deadline=None)
@given(*[HOSTILE | st.sampled_from(WRITTEN)] * 2)
def test_what_merchants_wrote_is_never_read_by_the_shell(variant, domain):
    items = [{"variant_id": variant, "quantity": 3}]
    command = curl(start(items=items, domain=domain))
    given_ = arguments(command, ENCRYPTED_CARD="c$d", FIRMLY_TOKEN="t")
    body = json.loads(given_[given_.index("--data-binary") + 1])
    assert body["items"] == [{"add_to_cart_ref": {"variant_id": variant}, "quantity": 3}]
    assert body["encrypted_card"] == "c$d"
    assert len(given_) == 16
