"""A gateway of a test's own in front of the simulator: it passes everything on, changed as asked.

What it changes is data: ``edits`` are functions of (path, status, headers, body) for whole
responses, and ``events`` one of (name, data) for each event of a stream.
"""

from __future__ import annotations

import gzip
import http.client
import json
import time
from contextlib import closing, suppress
from email.utils import formatdate
from urllib.parse import urlsplit

from tests.servers import Handler, Server

HOP = {"transfer-encoding", "connection", "content-length", "date", "keep-alive"}


class Gateway(Server):
    """Passes requests on to a service, and its responses back."""

    def __init__(self, upstream, tls=None):
        super().__init__(Passing, tls)
        self.upstream = urlsplit(upstream).netloc
        self.change_nothing()

    def change_nothing(self):
        """Pass everything on as it is, and forget what was told."""
        self.edit = lambda _path, status, headers, body: (status, headers, body)
        self.events = lambda name, data: [(name, data)]
        self.pages = {}  # end of a path -> status and HTML, given without asking the service
        self.gathers = self.zips = False
        self.clock_off_s = 0.0
        self.stream_headers = {}
        self.told = []


class Passing(Handler):
    def do_GET(self):
        self.pass_on()

    def do_POST(self):
        self.pass_on()

    def pass_on(self):
        server = self.server
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        server.told.append((self.command, self.path))
        for end, (status, page) in server.pages.items():
            if self.path.partition("?")[0].endswith(end):
                self.give(status, {"content-type": "text/html"}, page.encode())
                return
        sent = {k: v for k, v in self.headers.items() if k.lower() not in {"host", "connection"}}
        sent["accept-encoding"] = "identity"
        # The client can be gone before its answer is: an exception must not keep the other side.
        with (
            closing(http.client.HTTPConnection(server.upstream, timeout=60)) as connection,
            suppress(ConnectionError),
        ):
            connection.request(self.command, self.path, body or None, sent)
            with connection.getresponse() as answer:
                headers = {k.lower(): v for k, v in answer.getheaders() if k.lower() not in HOP}
                if "event-stream" in headers.get("content-type", ""):
                    self.pass_stream(answer, headers)
                else:
                    self.give(*server.edit(self.path, answer.status, headers, answer.read()))

    def date_time_string(self, timestamp=None):  # noqa: ARG002 - http.server's own
        return formatdate(time.time() + self.server.clock_off_s, usegmt=True)

    def pass_stream(self, answer, headers):
        """Pass events on one by one, or all at the end."""
        server, begun, rest, kept = self.server, False, b"", b""
        headers |= {"transfer-encoding": "chunked", **server.stream_headers}
        if server.zips:
            headers["content-encoding"] = "gzip"
        packed = gzip.compress if server.zips else bytes
        while part := answer.read1(65536):
            *whole, rest = (rest + part).split(b"\n\n")
            kept += b"".join(event for one in whole for event in self.changed(one))
            if kept and not server.gathers:
                if not begun:
                    self.begin(headers)
                begun = True
                self.chunk(packed(kept))
                kept = b""
        if not begun:
            self.begin(headers)
        if kept:
            self.chunk(packed(kept))
        self.wfile.write(b"0\r\n\r\n")

    def begin(self, headers):
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def chunk(self, data):
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def changed(self, text):
        parts = dict(line.split(": ", 1) for line in text.decode().split("\n"))
        for name, data in self.server.events(parts["event"], json.loads(parts["data"])):
            yield f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
