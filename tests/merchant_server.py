"""A merchant, or whoever stands in for one, that answers byte for byte what a test tells it to."""

from __future__ import annotations

import json
import time

from jwcrypto import jwk

from tests.servers import Handler, Server

KEY = json.loads(jwk.JWK.generate(kty="RSA", size=2048).export_public())


class Merchant(Server):
    """Answers sessions and keys as it should, and everything else as a test tells it to."""

    def __init__(self):
        super().__init__(Answering)
        self.answer = {}
        self.raw = None  # status, headers and bytes instead of the answer
        self.headers = {}
        self.redirects = ""  # the end of the path that leads to another server
        self.elsewhere = ""
        self.events = []
        self.page = None  # status and HTML that an order is answered with
        self.asked = []


class Answering(Handler):
    wbufsize = -1  # an answer in one piece: half of one waits for the other side to acknowledge it

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        key = {**KEY, "use": "enc", "kid": "k"}
        if self.server.raw and not self.path.endswith("/payment/key"):
            self.give(*self.server.raw)
            return
        self.send(key if self.path.endswith("/payment/key") else self.server.answer)

    def do_POST(self):
        self.server.asked.append((self.path, dict(self.headers)))
        self.rfile.read(int(self.headers["content-length"] or 0))
        if self.path.endswith("/browser-session"):
            session = {"access_token": "t", "device_id": "d", "expires": time.time() + 3600}
            self.send(session)
        elif "/place-order?sse=true" in self.path:
            if self.server.page:
                self.send(self.server.page[1], "text/html", self.server.page[0])
                return
            text = "".join(f"event: {name}\ndata: {data}\n\n" for name, data in self.server.events)
            self.send(text, "text/event-stream")
        elif self.server.raw and "/complete-order" in self.path:
            self.give(*self.server.raw)
        else:
            self.send(self.server.answer)

    def send(self, answer, kind="application/json", status=200):
        body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        headers = {"content-type": kind, **self.server.headers}
        if self.server.redirects and self.path.partition("?")[0].endswith(self.server.redirects):
            status, headers["location"] = 307, f"{self.server.elsewhere}/elsewhere"
        self.give(status, headers, body)
