"""What a server repeats of the request is taken out; what was asked to be kept is kept exactly."""

from __future__ import annotations

import json

import pytest

from firmly_nb.api.secrets import REDACTED
from firmly_nb.recorder.records import encode
from tests.recorder.order_server import CAPTCHA, JWE, TOKEN, event, job, run

pytestmark = pytest.mark.anyio


async def test_what_the_stream_repeats_of_the_request_is_taken_out():
    everything = f"{TOKEN} {JWE} {CAPTCHA}"
    cart = {"cart_id": "c", "note": everything, everything: 1, "payment_handle": "secret-handle"}

    async def behave(wire):
        await wire.stream(
            f"id: {TOKEN}\nevent: {JWE}\ndata: {json.dumps({'cart': cart})}\n\n".encode(),
            event("message", f"no json {everything}"),
            event("error", {"error": TOKEN, "description": everything}),
        )
        await wire.finish()

    rec = await run(behave, keep_raw=True)
    shown = f"{rec.records()!r} {rec!r} {rec._repr_html_()} {rec.events.to_csv()} {rec.error!r}"
    for secret in (TOKEN, JWE, CAPTCHA, "secret-handle"):
        assert secret not in shown
    assert rec.events["data"].iloc[0]["cart"]["payment_handle"] == REDACTED


@pytest.mark.parametrize("status", [200, 400])
async def test_an_error_answer_that_repeats_the_request_is_cleaned(status):
    async def behave(wire):
        body = json.dumps({"error": f"Bad-{TOKEN}", "description": JWE}).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: text/{CAPTCHA}\r\nContent-Length: {len(body)}"
        await wire.send(f"{head}\r\n\r\n".encode() + body)

    rec = await run(behave)
    assert rec.outcome == "http_error"
    for secret in (TOKEN, JWE, CAPTCHA):
        assert secret not in f"{rec.records()!r}{rec!r}{rec.error}"


async def test_raw_is_the_exact_text_when_asked_for():
    exact = '{ "a" :  1.50 }'

    async def behave(wire):
        await wire.stream(event("item-added", exact), event("order-placed"))
        await wire.finish()

    assert (await run(behave, keep_raw=True)).events["raw"].tolist() == [exact, "{}"]
    assert (await run(behave)).events["raw"].isna().all()


async def test_the_request_carries_no_secret_in_its_repr():
    assert "planted" not in repr(job())


async def test_the_exact_text_is_kept_in_memory_up_to_a_limit_and_never_written():
    exact = ['{ "a" :  1.50 }', f'{{"note": "{TOKEN}"}}', '{"b":  2}']

    async def behave(wire):
        await wire.stream(*(event("item-added", text) for text in exact), event("order-placed"))
        await wire.finish()

    rec = await run(behave, exact_bytes=sum(map(len, exact[:2])))
    texts = [each.exact for each in rec.recorded.events]
    assert texts == [exact[0], '{"note":"[redacted]"}', None, None]
    assert rec.events["raw"].isna().all()
    assert not any(b"  1.50" in encode(record) for record in rec.records())
    # Asked for, it is the column; there is no second copy.
    asked = await run(behave, keep_raw=True, exact_bytes=10_000)
    assert asked.recorded.events[0].exact == exact[0]
    assert asked.events["raw"].iloc[0] == exact[0]
