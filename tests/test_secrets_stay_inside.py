"""Plant secrets, run everything with every log on, print everything; then search it all for them.

The program runs in a process of its own, so that whatever it and its children write can be seen.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import textwrap
from urllib.parse import quote

import pytest

PROGRAM = """
    import asyncio, json, logging, os, sys, threading, time, traceback
    from pathlib import Path
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    for name in ("httpx", "httpcore", "asyncio", "anyio", "firmly_nb"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    import firmly_nb as fnb
    from firmly_nb import sim
    planted = json.loads(sys.stdin.read())
    card = fnb.Card.test(number=planted["number"], verification_value=planted["cvv"])
    order = fnb.Order.example(captcha_token=planted["captcha"])
    told, made = [], []

    def show(*things):
        for thing in things:
            html = getattr(thing, "_repr_html_", None)
            print(repr(thing), thing, [thing], html() if html else "")

    def note(lab):
        # The token is made by the simulator: it tells the test here, and nowhere else.
        for device in lab._bench.devices().free:
            told.append(device.session.access_token.get_secret_value())

    def processes(lab):
        worker = lab._bench._worker
        for pid in (worker.pid if worker else None, lab.simulator.pid):
            if pid:
                for name in ("cmdline", "environ"):
                    print(Path(f"/proc/{pid}/{name}").read_bytes())

    def kill_worker(lab):
        os.kill(lab._bench.worker().pid, 9)
        while lab._bench.worker().pid:
            time.sleep(0.01)

    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from jwcrypto import jwk

    class Echo(BaseHTTPRequestHandler):
        # Repeats in the headers of an answer whatever it was sent, and what only it can know.
        def log_message(self, *_):
            pass

        def answer(self, body, headers=()):
            self.send_response(200)
            for name, value in [("Content-Length", str(len(body))), *headers]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.answer(json.dumps({**KEY, "use": "enc", "kid": "k"}).encode())

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"] or 0))
            if self.path.endswith("/browser-session"):
                session = {"access_token": planted["token"], "device_id": "d", "expires": 9e9}
                self.answer(json.dumps(session).encode())
                return
            sent = json.loads(body)
            told.append(sent["encrypted_card"])
            secret = [planted["token"], sent["encrypted_card"], planted["number"]]
            secret += [sent["captcha_token"]]
            names = ["Server", "Via", "X-Request-Id", "X-Firmly-Trace", "X-Served-By"]
            headers = [(name, value) for name in names for value in secret]
            headers += [(f"X-Firmly-{value}", "1") for value in secret[:1]]
            headers += [("Set-Cookie", planted["cookie"]), ("X-Firmly-Session", planted["cookie"]),
                        ("Server", f"sid={planted['cookie']}")]
            kind = [("Content-Type", "text/event-stream")]
            self.answer(b'event: order-placed\\ndata: {}\\n\\n', [*kind, *headers])

    KEY = json.loads(jwk.JWK.generate(kty="RSA", size=2048).export_public())
    told += [planted["token"], planted["cookie"]]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with fnb.connect(api_url=f"http://127.0.0.1:{server.server_port}", app_id=planted["app_id"],
                     allow_domains=["staging.luma.gift"]) as lab:
        for isolated in (True, False):
            rec = lab.place(order, isolated=isolated)
            assert rec.outcome == "placed" and len(rec.headers) > 20
            show(rec, rec.ticket(), rec.headers.to_csv(), rec.records())
            print("that is a ticket")
            made.append(rec)
    server.shutdown()
    server.server_close()

    with fnb.connect(profile="instant") as lab:
        told.append(lab.simulator.app_id)
        show(lab, lab.environment, lab.simulator, card, order, lab.session(), lab.public_key())
        show(vars(card), card.model_dump(), card.model_dump_json(), order.model_dump_json())
        for fault in (None, *json.loads(sys.argv[1])):
            for isolated in (True, False):
                for sse in (True, False):
                    headers = {"x-sim-fault": fault} if fault else {}
                    rec = lab.place(order, card, headers=headers, isolated=isolated, sse=sse,
                                    keep_raw=True, timeout_s=5)
                    show(rec, rec.error, rec.waterfall(), rec.cart, rec.recorder, rec.records())
                    show(rec.ticket(), rec.headers.to_csv(), rec.request_id)
                    made.append(rec)
                    for table in (rec.events, rec.orders, rec.stages):
                        show(table, table.to_dict("records"), table.to_csv())
                note(lab)
            processes(lab)
        assert {rec.outcome for rec in made} > {"placed", "http_error"}
        show(lab.session(renew=True), lab.cart(), lab.products(), lab.search("tee"), lab.last)
        note(lab)

        async def cancelled():
            task = asyncio.create_task(
                lab.place_async(order, card, headers={"x-sim-fault": "stall"}))
            while not (lab._bench.worker()._pending or task.done()):
                await asyncio.sleep(0.01)
            assert not task.done(), task.result()
            show(task, asyncio.all_tasks(), lab._bench.worker(), lab._bench.worker()._pending)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        asyncio.run(cancelled(), debug=True)

        def fails(call):
            try:
                call()
            except Exception as error:
                traceback.print_exc()
                show(error, error.args, vars(error), error.__cause__, error.__context__)
        fails(lambda: lab.place(order.model_copy(update={"domain": "bestbuy.com"}), card))
        fails(lambda: fnb.Card(number=planted["number"] + "x", verification_value=planted["cvv"],
                               month="1", year=planted["captcha"]))
        fails(lambda: fnb.Order(domain="?", items=[], shipping_info=planted["captcha"],
                                captcha_token=[planted["captcha"]]))
        fails(lambda: lab.variants("nothing"))
        kill_worker(lab)
        show(lab.place(order, card))
        from firmly_nb.recorder import process
        executable, sys.executable = sys.executable, "/bin/false"
        kill_worker(lab)
        fails(lambda: lab.place(order, card))
        sys.executable = executable
        other = fnb.connect(api_url=lab.simulator.url, app_id=planted["app_id"],
                            allow_domains=["staging.luma.gift"])
        show(other, vars(other), other._bench.app_id)
        fails(lambda: other.place(order))
        fails(other.session)
        note(lab)
        loaded = fnb.load()
        show(loaded, *loaded, loaded.events.to_dict("records"))
        # Parquet is compressed: what is in a saved set is printed to be searched.
        import pyarrow.parquet as pq
        (loaded + fnb.Recordings(made)).save("set", keep_personal=True, notes=planted["number"])
        for path in Path("set").rglob("*.parquet"):
            print(pq.read_schema(path).metadata, pq.ParquetFile(path).read().to_pylist())
        recs = fnb.Recordings(made)
        for kind in ("csv", "jsonl", "parquet", "xlsx"):
            recs.export(f"export-{kind}", format=kind)
        recs.har("all.har")
        for folder in ("export-csv", "export-jsonl"):
            for path in Path(folder).iterdir():
                print(path.read_text("utf-8-sig"))
        recs.perfetto("all.json")
        print(Path("all.har").read_text(), Path("all.json").read_text())
        for path in Path("export-parquet").iterdir():
            print(pq.ParquetFile(path).read().to_pylist())
        import zipfile
        with zipfile.ZipFile("export-xlsx/tables.xlsx") as book:
            for name in book.namelist():
                print(book.read(name).decode())
        show(fnb.load("all.har"), fnb.load("export-jsonl"))
        print(recs.sql("select * from events").to_csv())
        print(Path("set", "manifest.json").read_text(), "that is the set")
    Path(sys.argv[2]).write_text(json.dumps(told))
"""
FAULTS = [
    "payment-declined",
    "invalid-input",
    "token-expired",
    "bad-gateway",
    "redirect",
    "content-type",
    "early-end",
    "reset",
    "reset-at-once",
    "broken-chunk",
    "garbage-data",
    "unknown-events",
]


def forms(secret):
    """A secret as it is, in base64 of both alphabets at each alignment, quoted, and in hex."""
    raw = secret.encode()
    yield secret
    yield quote(secret, safe="")
    yield raw.hex()
    for pad in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * pad + raw).decode().rstrip("=")
            yield whole[4 if pad else 0 : len(whole) - 1]


@pytest.mark.timeout(600)
def test_no_planted_secret_gets_out(home, tmp_path):
    planted = {
        "number": "348127765319043",  # its CVV has four digits
        "cvv": "9371",
        "captcha": "planted-captcha-/+?=Zq7kP0vX",
        "app_id": "5b0c0f6e-planted-4c1d-9f4e-appid0000001",
        "token": "planted-token-Zq7kP0vX",
        "cookie": "planted-cookie-Zq7kP0vX",
    }
    made_by_simulator = tmp_path / "told.json"
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "dev",
            "-c",
            textwrap.dedent(PROGRAM),
            json.dumps(FAULTS),
            str(made_by_simulator),
        ],
        input=json.dumps(planted),
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
        env={**os.environ, "PYTHONASYNCIODEBUG": "1"},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    tokens = set(json.loads(made_by_simulator.read_text()))
    assert len(tokens) >= 3
    written = {"stdout": done.stdout, "stderr": done.stderr}
    for path in home.rglob("*"):
        if path.is_file():
            written[path.name] = path.read_text("utf-8", "replace")
    assert len(written) > 40
    # That the search can find something: what is public is there.
    assert "Card(not a test card, ends in 9043)" in done.stdout
    assert "DEBUG:httpcore" in done.stderr
    assert done.stdout.endswith("that is the set\n")
    assert "that is a ticket\n" in done.stdout
    assert "'merchant': 'staging.luma.gift'" in done.stdout
    for secret in [*(planted[key] for key in ("number", "captcha", "app_id")), *tokens]:
        for form in forms(secret):
            found = [name for name, text in written.items() if form in text]
            assert not found, f"a planted secret is in {found}: {around(written[found[0]], form)}"
    # A CVV is short: it is looked for where nothing else could write it by chance.
    for form in (f'"{planted["cvv"]}"', f"'{planted['cvv']}'", f"={planted['cvv']}"):
        assert not [name for name, text in written.items() if form in text]


def around(text, form):
    place = text.index(form)
    return text[max(place - 200, 0) : place + len(form) + 50]
