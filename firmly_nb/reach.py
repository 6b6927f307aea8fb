"""Is an environment reached? Each step on the way of an order, without an order: ``lab.doctor()``.

The steps depend on each other: after one that failed, those behind it are not tried. Each takes
the way that orders take: the same proxies, certificates and client.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from firmly_nb.api.card import checked_recipient
from firmly_nb.api.causes import Certificate, shown_proxy
from firmly_nb.api.errors import FirmlyError
from firmly_nb.api.headers import kept_headers, proxies
from firmly_nb.display.html import page
from firmly_nb.display.messages import MESSAGES, tells_names, without_code
from firmly_nb.display.table import Cell, Grid, Head, Row, grid_html
from firmly_nb.display.text import count, listed, printable
from firmly_nb.environments import DEMO_MERCHANT
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    import pandas as pd

    from firmly_nb.api.client import FirmlyClient
    from firmly_nb.api.secrets import SecretStr
    from firmly_nb.engine import Bench

OK, FAILED, NOT_TRIED, NOTE = "ok", "failed", "not tried", "-"
STYLES = {OK: "green", FAILED: "bold red", NOT_TRIED: "yellow", NOTE: "dim"}
MARKS = {OK: "✓ ok", FAILED: "✕ failed", NOT_TRIED: "○ not tried", NOTE: "-"}
TINTS = {OK: "46,125,50", FAILED: "198,40,40", NOT_TRIED: "160,96,0", NOTE: "128,128,128"}
STATE_WIDTH = 9
MOST_MERCHANTS = 3
MOST_ADDRESSES = 3
PAGE_SIZE = 100  # the smallest that the API takes
BEFORE = "a step before it failed"
NAME_S = 10.0
LARGEST_SKEW_S = 30.0
DATE_RESOLUTION_S = 1.0
# Headers by which services tell how much may be asked.
HERE = re.compile(r" [^.]*firmly-nb doctor[^.]*\.")
LIMITS = ("ratelimit", "x-ratelimit", "x-rate-limit", "retry-after")
NAME, PROXY, CONNECTION, TLS = "name", "proxy", "connection", "TLS"
SESSION, KEY, CATALOGUE, ALLOWED = "session", "key", "catalogue", "allow-list"
CLOCK, WHO = "clock", "who answers"
# On the way to a host, in this order; each kind of failure belongs to one.
ON_THE_WAY = (NAME, PROXY, CONNECTION, TLS)
STEP_OF = {
    "UnknownHost": NAME,
    "ProxyLogin": PROXY,
    "ProxyUnreachable": PROXY,
    "ProxyRefused": PROXY,
    "UntrustedIssuer": TLS,
    "CertificateNotValid": TLS,
    "CertificateOfAnotherHost": TLS,
    "TlsFailed": TLS,
}

STEPS = Table(
    "reach",
    "one row a step on the way of an order",
    (
        Column("step", "str", "", "what was looked at"),
        Column("host", "str", "", "of which host, or which merchant; empty of the whole"),
        Column("state", "str", "", "ok, failed, not tried; - where it is neither good nor bad"),
        Column("found", "str", "", "what was found, or the cause of the failure"),
        Column("remedy", "str", "", "what to do; empty if nothing"),
        Column("code", "str", "", "code of the message; see docs/messages.md"),
    ),
)


@dataclass(frozen=True, slots=True)
class Step:
    """Step on the way of an order: what was found, and what to do if it failed."""

    step: str
    host: str
    state: str
    found: str
    remedy: str = ""
    code: str = ""

    def __str__(self) -> str:
        place = f", {self.host}" if self.host else ""
        text = f"{self.state:{STATE_WIDTH}}  {self.step}{place}: {self.found}."
        code = f" [{self.code}]" if self.code else ""
        return f"{text} {self.remedy}".strip() + code


@tells_names
@dataclass(frozen=True, slots=True)
class Reach:
    """Result of ``lab.doctor()``: each step on the way of an order, none of which orders.

    Attributes
    ----------
    environment
        Name of the environment.
    steps
        The steps in order.
    """

    environment: str
    steps: tuple[Step, ...]

    @property
    def ok(self) -> bool:
        """True if no step failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Step, ...]:
        """Steps that failed, the first of which is to be mended first."""
        return tuple(step for step in self.steps if step.state == FAILED)

    @property
    def exit_code(self) -> int:
        """Exit code of ``firmly-nb doctor``: 0 if no step failed, else 1."""
        return 0 if self.ok else 1

    @property
    def table(self) -> pd.DataFrame:
        """Table of the steps: ``step``, ``host``, ``state``, ``found``, ``remedy``, ``code``."""
        return STEPS.frame([asdict(step) for step in self.steps])

    @property
    def sentence(self) -> str:
        """Result in a few words; of the first step that failed cause and remedy."""
        if self.ok:
            return f"{self.environment}: every step on the way of an order is ok."
        first, more = self.failed[0], len(self.failed) - 1
        place = f" of {first.host}" if first.host else ""
        others = f" {count(more, 'other step')} failed." if more else ""
        what = f"{self.environment}: {first.step}{place} failed: {first.found}."
        return f"{what} {first.remedy}{others}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, as for JSON."""
        steps = [asdict(step) for step in self.steps]
        return {"environment": self.environment, "ok": self.ok, "steps": steps}

    def __repr__(self) -> str:
        return "\n".join([self.sentence, *map(str, self.steps)])

    def _repr_html_(self) -> str:
        heads = (Head("step", left=True), Head("host", left=True), Head("state", left=True))
        long = [Head(text, left=True, wraps=True) for text in ("found", "what to do")]
        rows = [_row(step) for step in self.steps]
        return page(grid_html(Grid((*heads, *long), rows, caption=self.sentence)))


def _row(step: Step) -> Row:
    state = Cell(MARKS[step.state], look="bold" if step.state == FAILED else "")
    remedy = Cell(step.remedy, small=step.code)
    return Row((step.step, step.host, state, step.found, remedy), tint=TINTS[step.state])


@dataclass
class _Seen:
    """Facts that the responses of one host told beside their content."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    is_page: bool = False
    tls: str = ""
    certificate: Certificate | None = None
    skews_s: list[tuple[float, float]] = field(default_factory=list)  # skew, and how sure


async def look(bench: Bench, no_app_id: str = "") -> Reach:
    """Look at each step on the way of an order to an environment; nothing is ordered.

    Parameters
    ----------
    bench
        The lab's part on the background loop; connections of its own are made.
    no_app_id
        Why there is no app id, if there is none: what needs one is then not tried.
    """
    client = bench.new_client()
    try:
        return await _Look(bench, client, no_app_id).all()
    finally:
        await client.http.aclose()


class _Look:
    """Look at one environment: its steps so far, and what the hosts told."""

    def __init__(self, bench: Bench, client: FirmlyClient, no_app_id: str) -> None:
        self.bench, self.client, self.no_app_id = bench, client, no_app_id
        self.steps: list[Step] = []
        self.seen: dict[str, _Seen] = {}
        self.sent_at: dict[int, float] = {}
        self.knocking = False
        client.http.event_hooks = {"request": [self._note_request], "response": [self._note]}

    async def all(self) -> Reach:
        """Take the steps one after the other."""
        where = self.bench.environment
        self._say("settings", "", NOTE, str(self.bench.kept))
        self._say_app_id()
        reached = {}
        for url in dict.fromkeys((where.api_url, where.card_url)):
            reached[url] = await self._way(url)
        token = await self._session(is_reached=reached[where.api_url])
        if reached[where.card_url]:
            await self._keys()
        else:
            self._behind(KEY)
        await self._catalogues(token)
        self._say_allowed()
        self._say_clocks()
        self._say_who()
        return Reach(where.name, tuple(self.steps))

    # ------------------------------------------------------------------ what is said

    def _say(
        self, step: str, host: str, state: str, found: str, remedy: str = "", code: str = ""
    ) -> None:
        self.steps.append(Step(step, host, state, printable(found), remedy, code))

    def _fail(self, step: str, host: str, error: FirmlyError) -> None:
        found = error.description or error.error
        # Names of our own say no more than the words behind them.
        name = "" if error.http_status is None or error.error in found else f"{error.error}: "
        wait = f"; it asks to wait {error.retry_after_s:g} s" if error.retry_after_s else ""
        self._fail_by(step, host, error.code, f"{name}{found.rstrip('.')}{wait}")

    def _fail_by(self, step: str, host: str, code: str, found: str) -> None:
        # What a fix says of this look is of no use here.
        remedy = HERE.sub("", MESSAGES[code].fix)
        self._say(step, host, FAILED, found, remedy, code)

    def _behind(self, step: str, host: str = "", why: str = BEFORE) -> None:
        self._say(step, host, NOT_TRIED, why)

    def _say_app_id(self) -> None:
        if self.no_app_id:
            code = self.no_app_id.rpartition("[")[2].rstrip("]")
            # The sentences behind the first one say what to do, as the fix does.
            first = without_code(self.no_app_id).partition(". ")[0]
            self._fail_by("app id", "", code, f"{first[:1].lower()}{first[1:]}")
        elif self.bench.environment.name == "simulator":
            self._say("app id", "", OK, "that of the simulator")
        else:
            self._say("app id", "", OK, "there is one; it is not shown")

    # ------------------------------------------------------------------ the way to a host

    async def _way(self, url: str) -> bool:
        """Look at name, proxy, connection and TLS of a host; return whether it was reached."""
        host = urlsplit(url).netloc
        failure: FirmlyError | None = None
        proxy_url = self.client.way.proxy_of(httpx.URL(url))
        self.knocking = True
        try:
            await self.client.knock(url)
        except FirmlyError as error:
            failure = error
        finally:
            self.knocking = False
        failed_at = STEP_OF.get(failure.error, CONNECTION) if failure else ""
        name = "" if proxy_url else await _addresses(host)
        found = {
            NAME: name or ("the proxy looks it up" if proxy_url else "an IP address"),
            PROXY: shown_proxy(proxy_url) if proxy_url else "none",
            CONNECTION: "open",
            TLS: self._tls_words(url, host),
        }
        for step in ON_THE_WAY:
            if failed_at and ON_THE_WAY.index(step) > ON_THE_WAY.index(failed_at):
                self._behind(step, host)
            elif failure and step == failed_at:
                self._fail(step, host, failure)
            else:
                is_neither = (step == TLS and not url.startswith("https:")) or (
                    step in {NAME, PROXY} and found[step] in {"none", "the proxy looks it up"}
                )
                self._say(step, host, NOTE if is_neither else OK, found[step])
        return failure is None

    def _tls_words(self, url: str, host: str) -> str:
        if not url.startswith("https:"):
            return "not used: it is this machine"
        seen = self.seen.get(host)
        if seen is None or seen.certificate is None:
            return "not seen"
        shown = seen.certificate
        return (
            f"{seen.tls}, issued by '{shown.issuer}', valid until {shown.not_after}; trusted by "
            f"{self.client.way.trust}"
        )

    async def _note_request(self, request: httpx.Request) -> None:
        self.sent_at[id(request)] = time.time()

    async def _note(self, response: httpx.Response) -> None:
        """Keep what a response tells of the way: certificate, clock, who answers."""
        now = time.time()
        seen = self.seen.setdefault(response.request.url.netloc.decode(), _Seen())
        sent = self.sent_at.pop(id(response.request), now)
        seen.headers = kept_headers_of(response)
        kind = response.headers.get("content-type", "").lower()
        # What stands at the root of a host is nobody's answer to an order.
        seen.is_page = seen.is_page or ("html" in kind and not self.knocking)
        if told := _date(response.headers.get("date")):
            # The header has whole seconds, and was written between request and response.
            sure = (now - sent) / 2 + DATE_RESOLUTION_S / 2
            seen.skews_s.append((told + DATE_RESOLUTION_S / 2 - (sent + now) / 2, sure))
        stream = response.extensions.get("network_stream")
        secured = stream.get_extra_info("ssl_object") if stream else None
        if secured is not None and seen.certificate is None:
            seen.tls = secured.version() or "TLS"
            seen.certificate = Certificate.read(secured.getpeercert(binary_form=True) or b"")

    # ------------------------------------------------------------------ what the API says

    async def _session(self, *, is_reached: bool) -> SecretStr | None:
        if not is_reached or self.no_app_id:
            self._behind(SESSION, why="it needs an app id" if is_reached else BEFORE)
            return None
        try:
            session = await self.client.browser_session(self.bench.app_id)
        except FirmlyError as error:
            self._fail(SESSION, "", error)
            return None
        minutes = round((session.expires - time.time()) / 60)
        lasts = f"; it lasts {count(minutes, 'minute')}" if minutes > 0 else ""
        self._say(SESSION, "", OK, f"a token for a new device came{lasts}")
        return session.access_token

    async def _keys(self) -> None:
        try:
            first = await self.client.payment_key()
            second = await self.client.payment_key()
            checked_recipient(second)
        except FirmlyError as error:
            self._fail(KEY, "", error)
            return
        kid = printable(first.kid, 60)
        rotated = f"; it rotated to {printable(second.kid, 60)} meanwhile, which is no mistake"
        self._say(KEY, "", OK, f"{kid}{rotated if first.kid != second.kid else ''}")

    async def _catalogues(self, token: SecretStr | None) -> None:
        domains = self._merchants()
        for domain in domains[:MOST_MERCHANTS]:
            if token is None:
                self._behind(CATALOGUE, domain, "it needs a session")
                continue
            try:
                found = await self.client.products(domain, token, page=1, size=PAGE_SIZE)
            except FirmlyError as error:
                self._fail(CATALOGUE, domain, error)
                continue
            if found:
                self._say(CATALOGUE, domain, OK, "it lists products")
            else:
                self._fail_by(CATALOGUE, domain, "FNB204", "the catalogue is empty")
        if (more := len(domains) - MOST_MERCHANTS) > 0:
            self._behind(CATALOGUE, f"{more} more", "the first ones are enough")

    def _merchants(self) -> list[str]:
        """Return the merchants that may be ordered from; the demo merchant comes first."""
        return sorted(self.bench.environment.allow_domains, key=lambda d: (d != DEMO_MERCHANT, d))

    def _say_allowed(self) -> None:
        domains = self._merchants()
        if domains:
            more = len(domains) - MOST_MERCHANTS
            named = domains[:MOST_MERCHANTS] + ([f"{more} more"] if more > 0 else [])
            self._say(ALLOWED, "", OK, f"orders are allowed at {listed(named)}")
        else:
            self._fail_by(ALLOWED, "", "FNB010", "no merchant is on it, so no order is sent")

    def _say_clocks(self) -> None:
        for host, seen in self.seen.items():
            if not seen.skews_s:
                self._say(CLOCK, host, NOTE, "the response has no Date header")
                continue
            skew_s, sure_s = min(seen.skews_s, key=lambda one: one[1])
            if abs(skew_s) <= sure_s:
                self._say(CLOCK, host, OK, f"the same as here, within {sure_s:.1f} s")
                continue
            side = "ahead of" if skew_s > 0 else "behind"
            minutes = round(abs(skew_s) / 60)
            off = count(minutes, "minute") if minutes else f"{abs(skew_s):.0f} s"
            said = f"{off} {side} this machine's"
            if abs(skew_s) > LARGEST_SKEW_S:
                self._fail_by(CLOCK, host, "FNB607", said)
            else:
                self._say(CLOCK, host, OK, said)
        if not self.seen:
            self._behind(CLOCK)

    def _say_who(self) -> None:
        for host, seen in self.seen.items():
            values = dict(seen.headers)
            told = [f"server: {values['server']}"] if "server" in values else []
            told += filter(None, [proxies(seen.headers)])
            told += [f"{n}: {v}" for n, v in seen.headers if n.startswith(LIMITS)]
            said = ", ".join(told) or "no header says who"
            if seen.is_page:
                self._fail_by(WHO, host, "FNB226", f"a page came instead of JSON; {said}")
            else:
                self._say(WHO, host, OK, said)
        if not self.seen:
            self._behind(WHO)


def kept_headers_of(response: httpx.Response) -> list[tuple[str, str]]:
    """Return the headers of a response that may be kept."""
    return [(name, value) for name, value in kept_headers(response.headers.multi_items())]


def _date(text: str | None) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


async def _addresses(host: str) -> str:
    """Return the addresses of a host in words; empty where it has none, or needs none."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        ip_address(name)
    except ValueError:
        pass
    else:
        return ""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(NAME_S):
            found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ""
    addresses = dict.fromkeys(str(one[4][0]) for one in found)
    return listed(list(addresses)[:MOST_ADDRESSES])
