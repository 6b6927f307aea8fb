"""A merchant, or whoever stands in for one, that answers byte for byte what a test tells it to."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from jwcrypto import jwk

KEY = json.loads(jwk.JWK.generate(kty="RSA", size=2048).export_public())


class Merchant(ThreadingHTTPServer):
    """Answers sessions and keys as it should, and everything else as a test tells it to."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answer = {}
        self.raw = None  # status, bytes and headers instead of the answer
        self.headers = {}
        self.redirects = ""  # the end of the path that leads to another server
        self.elsewhere = ""
        self.events = []
        self.page = None  # status and HTML that an order is answered with
        self.asked = []


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece: half of one waits for the other side to acknowledge it

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        key = {**KEY, "use": "enc", "kid": "k"}
        if self.server.raw and not self.path.endswith("/payment/key"):
            self.send_raw(*self.server.raw)
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
            self.send_raw(*self.server.raw)
        else:
            self.send(self.server.answer)

    def send_raw(self, status, body, headers):
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send(self, answer, kind="application/json", status=200):
        body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        away = self.server.redirects and self.path.partition("?")[0].endswith(self.server.redirects)
        self.send_response(307 if away else status)
        if away:
            self.send_header("location", f"{self.server.elsewhere}/elsewhere")
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(server):
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
