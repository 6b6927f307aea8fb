"""The recorder's process by itself, spoken to as the protocol says."""

from __future__ import annotations

import asyncio
import gc
import os
import struct
import subprocess
import sys
from contextlib import suppress

import orjson
import pytest

import firmly_nb as fnb
from firmly_nb.api.card import encrypt_card, read_public_key
from firmly_nb.api.secrets import SecretStr
from firmly_nb.recorder import worker as worker_module
from firmly_nb.recorder.job import Job
from firmly_nb.recorder.process import GREETING, VERSION, frame, job_message
from firmly_nb.recorder.records import Start
from firmly_nb.recorder.worker import Worker
from firmly_nb.wire.stamps import monotonic_ns


class Notebook:
    """The other end of the pipe, in blocking calls."""

    def __init__(self, **environment):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "firmly_nb.recorder.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
        )

    def send(self, message):
        self.process.stdin.write(frame(message))
        self.process.stdin.flush()

    def read(self):
        head = self.process.stdout.read(4)
        if len(head) < 4:
            return None
        return orjson.loads(self.process.stdout.read(struct.unpack(">I", head)[0]))

    def greet(self, url, journal, **changes):
        hello = {"type": "hello", "version": VERSION, "card_url": url, "ca_file": None}
        self.send({**hello, "journal": str(journal), "keep_personal": False, **changes})
        assert self.process.stdout.read(len(GREETING)) == GREETING
        ready = self.read()
        assert ready == {"type": "ready", "version": VERSION, "pid": self.process.pid}

    def close(self):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with suppress(BrokenPipeError):
                stream.close()

    def until_end(self, order_id):
        found = []
        while True:
            message = self.read()
            assert message is not None, self.process.stderr.read()
            if message["id"] == order_id:
                found.append(message)
                if message["type"] == "failed" or message["record"]["kind"] == "end":
                    return found


@pytest.fixture
def notebook(simulator, tmp_path):
    made = Notebook()
    made.greet(simulator.url, tmp_path / "journals")
    yield made
    made.close()


@pytest.fixture(scope="module")
def order(simulator):
    import httpx

    http = httpx.Client(base_url=simulator.url, trust_env=False)
    headers = {"x-firmly-app-id": simulator.app_id}
    session = http.post("/api/v1/browser-session", headers=headers).json()
    key = read_public_key(http.get("/api/v1/payment/key").json(), None)
    http.close()

    def make(number, **headers):
        start = Start(f"r{number}", 0, "custom", "staging.luma.gift", [], True, "warm", 20.0)
        body = fnb.Order.example().wire(encrypt_card(fnb.Card.test(), key))
        job = Job(start, body, SecretStr(session["access_token"]), headers)
        return {"type": "place", "id": f"r{number}", "job": job_message(job)}

    return make


def test_an_order_is_answered_with_its_records(notebook, order):
    notebook.send(order(1))
    messages = notebook.until_end("r1")
    kinds = [message["record"]["kind"] for message in messages]
    assert kinds == ["start", *["event"] * 4, "end"]
    assert messages[-1]["record"]["outcome"] == "placed"


def test_cancel_ends_an_order(notebook, order):
    notebook.send(order(1, **{"x-sim-fault": "stall"}))
    while notebook.read()["record"].get("event") != "item-added":
        pass
    notebook.send({"type": "cancel", "id": "r1"})
    assert notebook.until_end("r1")[-1]["record"]["outcome"] == "cancelled"


def test_cancel_at_once_is_answered_although_nothing_was_sent(notebook, order, simulator):
    before = len(simulator.truth())
    notebook.process.stdin.write(frame(order(1)) + frame({"type": "cancel", "id": "r1"}))
    notebook.process.stdin.flush()
    [message] = notebook.until_end("r1")
    assert (message["type"], message["error"]) == ("failed", "Cancelled")
    assert len(simulator.truth()) == before


@pytest.mark.parametrize(
    "job", [None, {}, {"start": 1}, {"start": {"kind": "end", "outcome": "placed", "t_end_ns": 1}}]
)
def test_a_job_that_is_none_fails_and_stops_no_other(notebook, order, job):
    """It ended the recorder, and with it every order in flight."""
    notebook.send({"type": "place", "id": "bad", "job": job})
    [message] = notebook.until_end("bad")
    assert message["type"] == "failed"
    notebook.send(order(2))
    assert notebook.until_end("r2")[-1]["record"]["outcome"] == "placed"


def test_what_is_of_no_known_type_is_passed_over(notebook, order):
    notebook.send({"type": "sing", "id": "x"})
    notebook.send({"type": "cancel", "id": "unknown"})
    notebook.send(order(3))
    assert notebook.until_end("r3")[-1]["record"]["outcome"] == "placed"


def test_a_notebook_of_another_version_is_refused(tmp_path):
    other = Notebook()
    other.send({"type": "hello", "version": VERSION + 1})
    out, said = other.process.communicate(timeout=250)
    assert out == b""
    assert f"this recorder speaks version {VERSION} of the protocol".encode() in said
    assert other.process.returncode == 1


def test_a_notebook_that_is_gone_takes_the_recorder_with_it(notebook, order, tmp_path):
    notebook.send(order(4, **{"x-sim-fault": "stall"}))
    while notebook.read()["record"].get("event") != "item-added":
        pass
    notebook.process.stdin.close()
    assert notebook.process.wait(250) == 0
    [rec] = fnb.load(tmp_path / "journals")
    assert rec.outcome == "cancelled"
    assert rec.warnings == ["the recording was cut off: the notebook's process ended"]
    assert rec.events["event"].astype("str").tolist() == ["creating-cart", "item-added"]


def test_half_a_message_is_the_end(notebook):
    notebook.process.stdin.write(b"\0\0\0\xff{")
    notebook.process.stdin.close()
    assert notebook.process.wait(250) == 0


def test_garbage_is_not_collected_while_an_order_is_about_to_start(tmp_path, monkeypatch):
    hello = {"card_url": "http://127.0.0.1:9", "ca_file": None, "keep_personal": False}
    worker = Worker({**hello, "journal": str(tmp_path)}, output=None)
    for name, value in {"CALM_NS": 60_000_000_000, "FEW_OBJECTS": -1, "TIDY_S": 0.0}.items():
        monkeypatch.setattr(worker_module, name, value)
    looks, collected = [], []
    monkeypatch.setattr(gc, "collect", lambda: collected.append(len(looks)))

    def is_calm():
        looks.append(Worker.is_calm(worker))
        return looks[-1]

    worker.is_calm = is_calm

    async def tidied():
        worker.due["a"] = monotonic_ns() + 30_000_000_000
        tidying = asyncio.create_task(worker_module._tidy(worker))
        while len(looks) < 3:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
        assert not any(looks)
        assert not collected
        worker.due.clear()
        while not collected:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
        tidying.cancel()

    try:
        asyncio.run(tidied())
    finally:
        gc.enable()
    assert looks[collected[0] - 1]
