"""A stand-in for staging and for the networks before it: whatever firmly's pages leave open.

:class:`Gateway` answers sessions, keys, catalogue, carts and orders over sockets of its own, as the
reference pages say, until a test changes an attribute: other event names, other shapes of errors,
a gateway's page, gzip, events that a proxy gathers, revoked tokens, keys that rotate, another
clock. :class:`Authority` makes certificates, good and bad ones; :class:`Proxy` leads to a gateway
as a company's proxy would, with or without a login.

    with serving(Gateway()) as gateway, fnb.connect(api_url=gateway.url, app_id="a",
                                                    allow_domains=[DEMO_MERCHANT]) as lab:
        gateway.pages["order"] = (502, "<title>502 Bad Gateway</title>")

Staging itself, on loopback: ``at_staging(monkeypatch, gateway, authority)`` sets HTTPS_PROXY to a
proxy that leads api.firmly.work and cc.firmly.work to the gateway; then ``fnb.connect("staging",
ca_file=authority.file)`` is the real way, names and TLS included.
"""

from __future__ import annotations

import base64
import gzip
import ipaddress
import json
import select
import socket
import ssl
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from warnings import catch_warnings, simplefilter

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from jwcrypto import jwk

from tests.servers import Handler, Server, serving

DEMO_MERCHANT = "staging.luma.gift"
STAGING_HOSTS = ("api.firmly.work", "cc.firmly.work")
APP_ID = "app-id-of-the-tests"
KEY = json.loads(jwk.JWK.generate(kty="RSA", size=2048).export_public())
DAY = timedelta(days=1)


def cart(**more):
    """A cart as events have it; an order if it has a number."""
    money = {"currency": "USD", "symbol": "$", "number": 4699, "value": 46.99}
    return {"cart_id": "c1", "cart_status": "active", "total": money, "line_items": [], **more}


PLACED = cart(cart_status="submitted", platform_order_number="T-1")
EVENTS = [
    ("creating-cart", {"cart_id": "c1"}),
    ("item-added", cart()),
    ("shipping-updated", cart()),
    ("order-placed", PLACED),
]
GUIDE_EVENTS = [
    ("order_processing", cart()),
    ("payment_processing", cart()),
    ("order_completed", PLACED),
]


class Authority:
    """A certificate authority with a name; ``file`` is what trusts it."""

    def __init__(self, folder, name="Corp Inspection CA"):
        self.folder, self.name = Path(folder), name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, name),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Corp Ltd"),
            ]
        )
        self.certificate = self._signed(self.subject, self.key, -300, 300, [_basic(ca=True)])
        self.file = str(self.folder / f"{name.replace(' ', '-').lower()}.pem")
        Path(self.file).write_bytes(self._pem(self.certificate))
        self.issued = 0

    def server(self, *names, begins=-1, ends=30, old=False):
        """What a server shows: a context with a certificate for names, from day to day.

        An old one speaks no newer version than TLS 1.1.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        common = names[0] if names else "127.0.0.1"
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        extensions = [_basic(ca=False), (usage, False)]
        if names:
            alternative = x509.SubjectAlternativeName([_general(name) for name in names])
            extensions.append((alternative, False))
        made = self._signed(subject, key, begins, ends, extensions)
        self.issued += 1
        path = self.folder / f"server-{self.issued}.pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path.write_bytes(secret + self._pem(made))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        if old:
            context.set_ciphers("ALL:@SECLEVEL=0")
            with catch_warnings():
                simplefilter("ignore", DeprecationWarning)
                context.maximum_version = ssl.TLSVersion.TLSv1_1
        return context

    def _signed(self, subject, key, begins, ends, extensions):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins * DAY)
            .not_valid_after(now + ends * DAY)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )
        for extension, is_critical in extensions:
            builder = builder.add_extension(extension, is_critical)
        if subject is self.subject:
            signs = dict.fromkeys(("key_cert_sign", "crl_sign", "digital_signature"), True)
            never = ("content_commitment", "key_encipherment", "data_encipherment",
                     "key_agreement", "encipher_only", "decipher_only")  # fmt: skip
            usage = x509.KeyUsage(**signs, **dict.fromkeys(never, False))
            builder = builder.add_extension(usage, True)
        return builder.sign(self.key, hashes.SHA256())

    @staticmethod
    def _pem(certificate):
        return certificate.public_bytes(serialization.Encoding.PEM)


def _basic(*, ca):
    return x509.BasicConstraints(ca=ca, path_length=None), True


def _general(name):
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


class Gateway(Server):
    """Stands in for firmly; each attribute is what a test may change, at any time.

    ``asked`` holds method and path of each request, in order.
    """

    # A client that leaves early, or does not trust what it is shown, is no mistake of ours.
    block_on_close = False

    def __init__(self, tls=None):
        super().__init__(_Answering, tls)
        self.asked = []
        self.events = EVENTS
        self.pause_s = 0.0  # between events
        self.gathers = False  # all events in one piece, at the end
        self.gzip = False
        self.pages = {}  # what of (below) -> status and HTML; "all" for everything
        self.errors = {}  # what of -> status and JSON
        self.headers = {"Server": "fake-firmly"}
        self.app_ids = {APP_ID}
        self.token = 0  # number of the last one
        self.revoked = set()  # tokens that are refused from now on
        self.kids = ["k1"]  # of the next keys; the last one stays
        self.clock_s = 0.0  # how far ahead the clock is
        self.lifetime_s = 3600.0

    def error_of(self, name, description):
        """Return an error as the reference pages write it; tests replace it for other shapes."""
        return {"code": 400, "error": name, "description": description}

    def now(self):
        return time.time() + self.clock_s

    def handle_error(self, request, client_address):
        """Say nothing of a client that has gone."""


class _Answering(Handler):
    wbufsize = -1

    def version_string(self):
        return self.server.headers.get("Server", "")

    def date_time_string(self, _=None):
        return formatdate(self.server.now(), usegmt=True)

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self):
        gateway, path = self.server, self.path.partition("?")[0]
        gateway.asked.append((self.command, self.path))
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        what = _what_of(path)
        page = gateway.pages.get(what) or gateway.pages.get("all")
        if page:
            self._send(page[0], page[1].encode(), "text/html; charset=utf-8")
        elif what in gateway.errors:
            self._json(*gateway.errors[what])
        elif what in {"catalogue", "cart", "order"} and not self._token_is_good():
            self._refuse(401, "InvalidToken", "the token is not valid")
        else:
            getattr(self, f"_{what}")(body)

    def _token_is_good(self):
        token = self.headers.get("x-firmly-authorization", "")
        return token.startswith("token-") and token not in self.server.revoked

    def _refuse(self, status, name, description):
        self._json(status, self.server.error_of(name, description))

    def _session(self, _):
        gateway = self.server
        if self.headers.get("x-firmly-app-id") not in gateway.app_ids:
            self._refuse(400, "InvalidAppId", "the app id is unknown")
            return
        gateway.token += 1
        self._json(
            200,
            {
                "access_token": f"token-{gateway.token}",
                "device_id": "d1",
                "expires": gateway.now() + gateway.lifetime_s,
                "expires_in": gateway.lifetime_s,
                "device_created": True,
            },
        )

    def _key(self, _):
        kids = self.server.kids
        kid = kids.pop(0) if len(kids) > 1 else kids[0]
        self.server.current_kid = kid
        self._json(200, {**KEY, "use": "enc", "kid": kid})

    def _catalogue(self, _):
        self._json(200, [{"handle": "tee", "title": "Tee", "loc": "https://x.test/tee"}])

    def _cart(self, _):
        self._json(200, cart())

    def _root(self, _):
        self._refuse(404, "RouteNotFound", "no such route")

    def _order(self, body):
        gateway = self.server
        jwe = json.loads(body)["encrypted_card"].split(".")[0]
        kid = json.loads(base64.urlsafe_b64decode(jwe + "=="))["kid"]
        if kid != getattr(gateway, "current_kid", kid):
            self._refuse(400, "ErrorInvalidInputBody", "the card's key has rotated")
            return
        if "sse=true" not in self.path:
            self._json(200, PLACED)
            return
        texts = [f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in gateway.events]
        if gateway.gathers or gateway.gzip:
            whole = "".join(texts).encode()
            self._send(200, whole, "text/event-stream")
            return
        self._head(200, "text/event-stream", None)
        for text in texts:
            piece = text.encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.flush()
            time.sleep(gateway.pause_s)
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _json(self, status, content):
        self._send(status, json.dumps(content).encode(), "application/json")

    def _send(self, status, body, kind):
        if self.server.gzip:
            body = gzip.compress(body)
        self._head(status, kind, len(body))
        self.wfile.write(body)
        self.wfile.flush()

    def _head(self, status, kind, size):
        self.send_response(status, "Because")
        self.send_header("content-type", kind)
        if size is None:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(size))
        if self.server.gzip:
            self.send_header("content-encoding", "gzip")
        for name, value in self.server.headers.items():
            if name != "Server":
                self.send_header(name, value)
        self.end_headers()


def _what_of(path):
    for end, what in (
        ("/browser-session", "session"),
        ("/payment/key", "key"),
        ("/place-order", "order"),
        ("/cart", "cart"),
    ):
        if path.endswith(end):
            return what
    return "catalogue" if "/domains-products/" in path else "root"


class Proxy:
    """A company's proxy: tunnels to the port of each host that it knows, and refuses others.

    ``login`` is ``user:password`` where it wants one. ``asked`` holds each head that it got.
    """

    def __init__(self, ports, login="", refusal="403 Forbidden"):
        self.ports, self.login, self.refusal = ports, login, refusal
        self.asked = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.url = f"http://{self.place}"

    def __enter__(self):
        self.accepting = threading.Thread(target=self._accept)
        self.accepting.start()
        return self

    def __exit__(self, *_):
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.accepting.join()

    def _accept(self):
        with suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        with peer, suppress(OSError):
            peer.settimeout(60)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                piece = peer.recv(1)
                if not piece:
                    return
                head += piece
            self.asked.append(head.decode())
            host = head.split()[1].decode().rpartition(":")[0]
            allowed = base64.b64encode(self.login.encode()) in head if self.login else True
            if not allowed:
                why = "407 Proxy Authentication Required"
            elif host not in self.ports:
                why = self.refusal
            else:
                self._tunnel(peer, self.ports[host])
                return
            peer.sendall(f"HTTP/1.1 {why}\r\nContent-Length: 0\r\n\r\n".encode())

    @staticmethod
    def _tunnel(peer, port):
        with socket.create_connection(("127.0.0.1", port)) as beyond:
            peer.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            while True:
                for source in select.select([peer, beyond], [], [], 60)[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    (beyond if source is peer else peer).sendall(data)


@contextmanager
def at_staging(monkeypatch, gateway, *, login="", given_login=""):
    """Let HTTPS_PROXY name a proxy that leads staging's hosts to a gateway; yield the proxy."""
    ports = dict.fromkeys(STAGING_HOSTS, gateway.server_port)
    with Proxy(ports, login) as proxy:
        user = f"{given_login}@" if given_login else ""
        monkeypatch.setenv("HTTPS_PROXY", f"http://{user}{proxy.place}")
        yield proxy


@contextmanager
def staging_gateway(monkeypatch, folder):
    """Serve staging on loopback, proxy and TLS included; yield gateway, authority and proxy."""
    authority = Authority(folder)
    with ExitStack() as stack:
        gateway = stack.enter_context(serving(Gateway(authority.server(*STAGING_HOSTS))))
        proxy = stack.enter_context(at_staging(monkeypatch, gateway))
        yield gateway, authority, proxy


def unused_port():
    """Return a port that nobody listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return listener.getsockname()[1]
