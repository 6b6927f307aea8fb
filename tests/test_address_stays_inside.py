"""Plant an address, let a merchant repeat it in every way, then search all that was written."""

from __future__ import annotations

import html
import json
import logging
import re
import zipfile
from pathlib import Path
from urllib.parse import quote, unquote

import pandas as pd
import pytest

import firmly_nb as fnb
from firmly_nb.exchange.tables import FORMATS
from firmly_nb.exchange.tape import write_tape
from tests.api.test_personal import ECHOES, NAMES, PLANTED
from tests.exchange.test_otlp import collector
from tests.merchant_server import Merchant
from tests.servers import serving

EXPORTED = Path("export-parquet")
SHOP = "harbor.example.test"
# What any spelling of the planted address still has.
TRACES = (
    "zoe.oquill",
    "zoë",
    "quill",
    "5550147",
    "555-0147",
    "planted.example",
    "nted way",
    "99-q",
)


ESCAPED = re.compile(r"\\+u([0-9a-fA-F]{4})")  # in JSON, and in JSON inside a text
WAYS_A_STREAM = 5  # the error event of the first is the order's end


def streams():
    """Yield streams with each way: in fields, in texts, unreadable, in JSON inside a text."""
    ways = list(ECHOES.values())
    for first in range(0, len(ways), WAYS_A_STREAM):
        yield [event for way in ways[first : first + WAYS_A_STREAM] for event in events(way)]


def events(way):
    said = [way(PLANTED[name]) for name in NAMES]
    fields = {"firstName": PLANTED["first_name"], "Shipping Info": {"E-Mail": PLANTED["email"]}}
    cart = {"cart": {"notice": said, "Contact": fields, "cart_status": "active"}}
    return [
        ("item-added", json.dumps(cart)),
        ("note", json.dumps({"message": json.dumps(cart)})),
        ("unreadable", json.dumps(cart)[:-3] + ', "total": NaN'),
        ("plain", " ".join(" ".join(said).split())),
        ("error", json.dumps({"error": "ErrorX", "description": " ".join(said)})),
    ]


def traces(text):
    """What a text has of the planted address, as it is and with its escapes undone."""
    for said in {text, unquote(text), ESCAPED.sub(lambda code: chr(int(code[1], 16)), text)}:
        lower = said.lower()
        for trace in TRACES:
            if trace in lower:
                return said[max(0, lower.index(trace) - 300) :][:600]
    return ""


@pytest.mark.parametrize("isolated", [True, False], ids=["own process", "this process"])
def test_a_planted_address_is_written_down_nowhere(
    isolated, connect, tmp_path, caplog, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    order = fnb.Order.example(domain=SHOP, shipping_info=PLANTED)
    card = fnb.Card.test(name="Zoë O'Quill")
    with serving(Merchant()) as merchant:
        lab = connect(api_url=merchant.url, app_id="planted-app-id", allow_domains=[SHOP])
        made = []
        said = " ".join(PLANTED[name] for name in NAMES)
        merchant.headers = {
            "X-Firmly-Note": " ".join(said.split()).encode().decode("latin-1"),
            "X-Firmly-Quoted": quote(said),
            "X-Firmly-Email": PLANTED["email"],
            "Server": f"for {PLANTED['email']}",
            "Via": f"1.1 {PLANTED['last_name']}".encode().decode("latin-1"),
        }
        for merchant.events in streams():
            made.append(lab.place(order, card, isolated=isolated, keep_raw=True))
        for status in (400, 429, 502):
            repeated = html.escape(" ".join(PLANTED[name] for name in NAMES))
            merchant.page = status, f"<html><title>No</title><body>{repeated}</body></html>"
            made.append(lab.place(order, card, isolated=isolated))
    recs = fnb.Recordings(made)
    assert "zoë" in str(recs.events["data"].tolist()).lower()
    assert set(recs.headers["name"]) > {"x-firmly-note", "x-firmly-quoted", "server", "via"}
    written = [recs.headers.to_csv(), str(recs.orders["proxies"].tolist())]
    recs.save("set")
    fnb.load("set").save("again")
    for kind in FORMATS:
        recs.export(f"export-{kind}", format=kind)
    recs.har("all.har")
    recs.perfetto("all.json")
    recs[0].har("one.har")
    fnb.load("all.har").export("lines", format="jsonl")
    fnb.report(recs, "report.html", pictures=False)
    fnb.report(fnb.load("set"), "loaded.html", pictures=False)
    journals = fnb.load()
    written += [
        caplog.text,
        *map(str, (fnb.load("set").events.to_dict("records"), journals.events)),
    ]
    written += [
        str(fnb.load("set").orders.to_dict("records")),
        str(journals.orders.to_dict("records")),
    ]
    written += [rec.ticket() for of in (recs, journals, fnb.load("set")) for rec in of]
    written += [fnb.load("set").headers.to_csv(), journals.headers.to_csv()]
    assert "x-firmly-note," in written[-1]
    # Parquet and workbooks are compressed: what is in them is looked at.
    written += [
        str(pd.read_parquet(path).to_dict("records")) for path in EXPORTED.glob("*.parquet")
    ]
    with zipfile.ZipFile("export-xlsx/tables.xlsx") as book:
        written += [book.read(name).decode() for name in book.namelist() if name.endswith(".xml")]
    written += [str(recs.sql("select * from events").to_dict("records"))]
    written += [str(recs.duckdb().sql("select * from orders").fetchall())]
    write_tape((rec.recorded for rec in recs), tmp_path / "tape.jsonl")
    with collector() as (endpoint, sent):
        recs.otlp(endpoint)
        written += [str(request) for _, _, request in sent]
    assert "order-placed" in written[-1] or "item-added" in written[-1]
    written += [rec.curl() for rec in recs]
    paths = [path for path in lab.journal.rglob("*") if path.is_file()] + list(tmp_path.rglob("*"))
    written += [path.read_bytes().decode("utf-8", "replace") for path in paths if path.is_file()]
    assert len(written) > len(made)
    for text in written:
        assert not traces(text), traces(text)
    assert (len(journals), len(journals.events)) == (len(made), 5 * len(ECHOES))
    assert set(journals.orders["domain"]) == {SHOP}


def test_what_is_asked_to_be_kept_is_kept(connect, tmp_path):
    with serving(Merchant()) as merchant:
        options = {"api_url": merchant.url, "app_id": "a", "allow_domains": [SHOP]}
        lab = connect(**options, keep_personal=True)
        merchant.events = [("item-added", json.dumps({"cart": {"notice": PLANTED["email"]}}))]
        rec = lab.place(fnb.Order.example(domain=SHOP, shipping_info=PLANTED))
    assert PLANTED["email"] in str(fnb.load().events["data"].tolist())
    fnb.Recordings([rec]).save(tmp_path / "kept", keep_personal=True)
    assert PLANTED["email"] in str(fnb.load(tmp_path / "kept").events["data"].tolist())
    # What was kept can be masked later on: the names went with it.
    fnb.load(tmp_path / "kept").save(tmp_path / "masked")
    assert "planted" not in str(fnb.load(tmp_path / "masked").events["data"].tolist())
