"""Large events: the notebook holds their JSON as text, and decodes it when somebody asks for it."""

from __future__ import annotations

import json

import orjson
import pytest

import firmly_nb as fnb
from firmly_nb.recorder.records import LARGE_BYTES
from tests.merchant_server import Merchant
from tests.servers import serving

ORDER = fnb.Order.example()
MONEY = {"currency": "USD", "symbol": "$", "number": 1299, "value": 12.99}
LINES = [{"line_item_id": f"l{n}", "sku": "WS12", "quantity": 1, "price": MONEY}
         for n in range(2_000)]  # fmt: skip
CART = {"cart_id": "c1", "cart_status": "submitted", "platform_order_number": "T-1",
        "line_items": LINES, "total": MONEY}  # fmt: skip


@pytest.fixture
def decoded(monkeypatch):
    """The sizes of large texts that this process decodes; the recorder is another one."""
    sizes, loads = [], orjson.loads

    def counting(text):
        # A message of the recorder has the exact text beside the record, as a text.
        if len(text) >= LARGE_BYTES and bytes(text[:7]) != b'{"type"':
            sizes.append(len(text))
        return loads(text)

    monkeypatch.setattr(orjson, "loads", counting)
    return sizes


@pytest.mark.parametrize("shape", ["sse", "answer", "without a number"])
def test_a_large_cart_is_decoded_when_somebody_asks_for_it(connect, tmp_path, decoded, shape):
    merchant = Merchant()
    cart = CART if shape != "without a number" else {**CART, "platform_order_number": None}
    merchant.events = [("odd", json.dumps({"cart": {**cart, "platform_order_number": None}})),
                       ("order-placed", json.dumps({"order": cart}))]  # fmt: skip
    merchant.answer = {"order": cart}
    with serving(merchant):
        lab = connect(api_url=merchant.url, app_id="app", allow_domains=[ORDER.domain])
        timeline = fnb.Timeline()
        sse = shape != "answer"
        rec = lab.place(ORDER, progress=False, sse=sse, on_record=timeline.feed)
        lab.close()
    assert rec.order_number == cart["platform_order_number"]
    loaded = fnb.load(next(lab.journal.rglob("*.jsonl")))[0]
    for one in (rec, loaded):
        told = repr(one) + one._repr_html_() + one.ticket() + "".join(one.caveats["text"])
        assert "12.99" in told
        assert one.summary()["total_minor"] == 1299
        assert len(one.event_times) == (2 if sse else 0)
        timeline.add(one)
        assert timeline._repr_mimebundle_()
    assert decoded == []
    assert rec.cart == loaded.cart == cart
    assert len(decoded) == 2
