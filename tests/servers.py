"""Servers of a test's own on loopback: what all of them do."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Answers on loopback, over TLS if it is given a context."""

    daemon_threads = True

    def __init__(self, handler, tls=None):
        super().__init__(("127.0.0.1", 0), handler)
        self.tls = tls
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}"

    def finish_request(self, request, client_address):
        if self.tls is None:
            return super().finish_request(request, client_address)
        # A client that does not trust what it is shown leaves.
        with suppress(OSError), self.tls.wrap_socket(request, server_side=True) as secured:
            self.RequestHandlerClass(secured, client_address, self)
        return None

    def shutdown_request(self, request):
        with suppress(OSError):
            super().shutdown_request(request)


class Handler(BaseHTTPRequestHandler):
    """Says nothing of what it is asked."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing."""

    def give(self, status, headers, body):
        """Answer in full."""
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(server):
    """Serve in a thread until the block ends."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
