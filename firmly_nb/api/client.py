"""One async method for each endpoint that an order needs.

Stateless: tokens go in and come out as values; who keeps them is decided elsewhere (``lab``).
Redirects are not followed, nothing is sent twice: a second POST may be a second order. Secrets
are opened in the call that sends them and nowhere before: a traceback may show the locals of its
frames.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from collections.abc import AsyncIterator  # noqa: TC003 - contextlib needs it when it decorates
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import httpx
import orjson

from firmly_nb.api.card import PublicKey, read_public_key
from firmly_nb.api.causes import Way, full_cause_of
from firmly_nb.api.errors import (
    LAB_CLOSED,
    FirmlyError,
    error_from_body,
    moment_of,
    seconds_to_wait,
    without_markup,
)
from firmly_nb.api.event_names import COMPLETE_ORDER
from firmly_nb.api.headers import user_agent
from firmly_nb.api.secrets import Secret, redact_text
from firmly_nb.api.values import as_utf8
from firmly_nb.display.messages import tells_names
from firmly_nb.display.text import cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import SecretStr

    from firmly_nb.api.secrets import Hidden


# Where somebody switches debugging on, httpcore logs the head of each answer, cookies and all (and
# never that of a request). Of our own answers only the status is left.
HEAD = re.compile(r"(?s)(receive_response_headers\.complete return_value=[^\[]*)\[.*")

_ours: ContextVar[bool] = ContextVar("firmly_nb_request", default=False)


@contextmanager
def own_request() -> Iterator[None]:
    """Mark what is sent and read inside as ours."""
    before = _ours.get()
    _ours.set(True)
    try:
        yield
    finally:
        _ours.set(before)


def _without_headers(record: logging.LogRecord) -> bool:
    if _ours.get() and isinstance(record.msg, str):
        record.msg = HEAD.sub(r"\1[headers])", record.msg)
    return True


logging.getLogger("httpcore.http11").addFilter(_without_headers)


SESSION_TIMEOUT = httpx.Timeout(10.0)
KEY_TIMEOUT = httpx.Timeout(10.0)
READ_TIMEOUT = httpx.Timeout(30.0)
# Merchants are asked live while the request waits.
ORDER_TIMEOUT = httpx.Timeout(120.0, connect=15.0)
# However slowly an answer trickles and however large it is.
ANSWER_TIMEOUT_S = 150.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024
LONGEST_URL = 200  # of an address in a sentence, and of a page's title
LONGEST_PAGE = 20_000  # bytes of a page in which its title is looked for
LOCATION, ALL_HEADERS = "location", "firmly_nb_headers"
BODY_SECRETS = ("access_token", "encrypted_card", "captcha_token")
# What a header can carry (RFC 9110, section 5.5), and no token needs more of.
TOKEN = re.compile(r"[!-~]{1,16384}")
SENDABLE = re.compile(r"[ -~]*")  # of a cookie, as it goes back


# A clock that nobody sets. It goes on while a laptop sleeps, where the system has such a clock.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def session_clock_ns() -> int:
    """Return the time of the clock that the lives of sessions are counted on."""
    return time.clock_gettime_ns(CLOCK)


@tells_names
@dataclass(frozen=True, slots=True)
class Session:
    """Session of a device.

    Attributes
    ----------
    access_token, device_id
        Its token and its device.
    expires
        Its end in Unix seconds: by this machine's clock, or by the API's if it told no lifetime.
    device_created
        Whether its device is a new one.
    lifetime_s
        Seconds that it was told to last.
    made_ns
        The moment before it was asked for, on the clock of :func:`session_clock_ns`.
    """

    access_token: SecretStr
    device_id: str
    expires: float
    device_created: bool
    lifetime_s: float
    made_ns: int

    def left_s(self) -> float:
        """Return how many seconds it has left, whatever this machine's wall clock says."""
        return self.lifetime_s - (session_clock_ns() - self.made_ns) / 1e9


@dataclass(frozen=True, slots=True)
class Answer:
    """Whole response: its status and where it came from."""

    status: int
    where: str
    headers: httpx.Headers = field(repr=False)
    cookies: httpx.Cookies = field(repr=False)  # of the device, with those of this response
    body: bytes = field(repr=False)


class FirmlyClient:
    """Client for the API of one environment over one ``httpx.AsyncClient``.

    Parameters
    ----------
    http
        The client that sends. Its transport decides how, this class decides what.
    api_url, card_url
        Base URLs: sessions, carts and catalogue; what a card goes to.
    way
        Proxies and certificates on the way, for the words of a failure.
    """

    def __init__(
        self, http: httpx.AsyncClient, api_url: str, card_url: str, way: Way | None = None
    ) -> None:
        self.http = http
        self.way = way or Way()
        http.event_hooks["response"].append(_lead_nowhere)
        # One client serves many devices: it keeps no cookies, each device has its own.
        http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))
        http.headers["User-Agent"] = user_agent()
        self._cookies: dict[Hidden, httpx.Cookies] = {}  # by token
        self.api_url = api_url.rstrip("/")
        self.card_url = card_url.rstrip("/")

    async def knock(self, url: str) -> None:
        """Reach a host and ask for nothing: any response will do, also one that refuses.

        Raises
        ------
        FirmlyError
            If there is no response.
        """
        try:
            await self._answer("GET", f"{url.rstrip('/')}/", limits=KEY_TIMEOUT)
        except FirmlyError as error:
            if error.http_status is None:
                raise

    async def browser_session(self, app_id: Hidden, renew: Hidden | None = None) -> Session:
        """Get a device token; with the old one the device, and so its carts, stay the same."""
        made_ns = session_clock_ns()
        answer = await self._send(
            "POST",
            f"{self.api_url}/api/v1/browser-session",
            {"x-firmly-app-id": app_id},
            Secret({"access_token": renew.get_secret_value()}) if renew else None,
            limits=SESSION_TIMEOUT,
            of=renew,
        )
        session = read_session(answer, made_ns)
        if renew:
            self._cookies.pop(renew, None)
        if answer.cookies:
            self._cookies[session.access_token] = answer.cookies
        return session

    async def payment_key(self) -> PublicKey:
        """Get the public key for cards. Keys rotate: ask before each encryption."""
        answer = await self._send("GET", f"{self.card_url}/api/v1/payment/key", limits=KEY_TIMEOUT)
        return read_public_key(_json(answer), answer.headers.get("x-firmly-kid"))

    async def place_order(
        self, domain: str, body: Mapping[str, Any], token: Hidden
    ) -> dict[str, Any]:
        """Place an order without events and return the confirmation."""
        url = self.place_order_url(domain)
        sent = await self._send(
            "POST", url, authorization(token), Secret(dict(body)), limits=ORDER_TIMEOUT
        )
        answer = _json(sent)
        if not isinstance(answer, dict):
            raise FirmlyError("UnexpectedAnswer", "the confirmation is not a JSON object")
        return answer

    @asynccontextmanager
    async def stream_order(
        self,
        domain: str,
        body: Mapping[str, Any],
        token: Hidden,
        *,
        sse: bool = True,
        call: tuple[str, str] | None = None,
        limits: httpx.Timeout = ORDER_TIMEOUT,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """Send Place Order and hand out the answer while it arrives.

        Any status comes out as it is: what it means is for the reader of the stream to say. In its
        place another ``call`` of the order may be sent: its method, and the path of ``call_url``.
        """
        accept = "text/event-stream" if sse else "application/json"
        method, url = "POST", self.place_order_url(domain, sse=sse)
        if call:
            method, url = call[0], self.call_url(domain, call[1])
        request = self.http.build_request(
            method,
            url,
            headers={
                **_opened(authorization(token)),
                "Accept": accept,
                # A compressor on the way would gather events.
                "Accept-Encoding": "identity",
                "Content-Type": "application/json",
                **(headers or {}),
            },
            content=orjson.dumps(body) if body else None,
            timeout=limits,
            extensions=dict(extensions or {}),
        )
        response = await self._sent(request)
        try:
            yield response
        finally:
            await response.aclose()

    def place_order_url(self, domain: str, *, sse: bool = False) -> str:
        """Return the URL of Place Order v2 at a merchant."""
        url = f"{self.card_url}/api/v2/payment/domains/{quote(domain, safe='')}/place-order"
        return f"{url}?sse=true" if sse else url

    def call_url(self, domain: str, path: str) -> str:
        """Return the URL of a call about a device's cart.

        ``path`` is what stands behind ``/cart/``, or ``complete-order``, which goes where cards go.
        """
        merchant = f"domains/{quote(domain, safe='')}"
        if path == COMPLETE_ORDER:
            return f"{self.card_url}/api/v2/payment/{merchant}/{path}"
        return f"{self.api_url}/api/v2/{merchant}/cart/{path}"

    async def cart(self, domain: str, token: Hidden) -> dict[str, Any]:
        """Get this device's cart at a merchant.

        The sources differ on a trailing slash, so a route that is not found is tried with one.
        """
        url = f"{self.api_url}/api/v2/domains/{quote(domain, safe='')}/cart"
        try:
            answer = await self._call("GET", url, token)
        except FirmlyError as error:
            if error.error not in {"RouteNotFound", "HTTP 404"}:
                raise
            answer = await self._call("GET", f"{url}/", token)
        if not isinstance(answer, dict):
            raise FirmlyError("UnexpectedAnswer", "the cart is not a JSON object")
        return answer

    async def change_cart(
        self,
        method: str,
        domain: str,
        path: str,
        token: Hidden,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Change this device's cart at a merchant and return all of it.

        ``path`` is what stands behind ``/cart/``: ``line-items``, ``shipping-info``. A body may
        hold an address, so it is kept from tracebacks.
        """
        url = self.call_url(domain, path)
        answer = await self._call(method, url, token, Secret(dict(body)) if body else None)
        return answer if isinstance(answer, dict) else {}

    async def products(
        self, domain: str, token: Hidden, page: int = 1, size: int = 500
    ) -> list[dict[str, Any]]:
        """List a merchant's products: ``loc``, ``handle``, ``title``, ``image``."""
        url = f"{self.api_url}/api/v1/domains-products/{quote(domain, safe='')}"
        answer = await self._call("GET", f"{url}?page={page}&size={size}", token)
        return answer if isinstance(answer, list) else []

    async def product(self, domain: str, handle: str, token: Hidden) -> dict[str, Any]:
        """Get one product with its variants and their ``add_to_cart_ref``."""
        path = f"{quote(domain, safe='')}/{quote(handle, safe='')}"
        url = f"{self.api_url}/api/v1/domains-products/{path}"
        answer = await self._call("GET", url, token)
        return answer if isinstance(answer, dict) else {}

    async def search(
        self, query: str, token: Hidden, filters: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Search products over the merchants enabled for the app id."""
        body: dict[str, Any] = {"query": query}
        if filters:
            body["filters"] = dict(filters)
        url = f"{self.api_url}/api/v1/discovery/search"
        answer = await self._call("POST", url, token, Secret(body))
        found = answer.get("products") if isinstance(answer, dict) else None
        return found if isinstance(found, list) else []

    async def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, Hidden] | None = None,
        body: Secret[Any] | None = None,
        *,
        host: str = "api",
    ) -> Answer:
        """Send a request without cookies and return its response, whatever its status.

        ``host`` is that of the API's description: ``api`` or ``card``.
        """
        base = self.card_url if host == "card" else self.api_url
        return await self._answer(method, f"{base}{path}", headers, body)

    async def _call(
        self, method: str, url: str, token: Hidden, body: Secret[Any] | None = None
    ) -> Any:
        answer = await self._send(method, url, authorization(token), body, of=token)
        if answer.cookies:
            self._cookies[token] = answer.cookies
        return _json(answer)

    async def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, Hidden] | None = None,
        body: Secret[Any] | None = None,
        limits: httpx.Timeout = READ_TIMEOUT,
        of: Hidden | None = None,
    ) -> Answer:
        """Send a request once and return its response; raise for a status other than 2xx.

        With the token of a device its cookies are sent.
        """
        answer = await self._answer(method, url, headers, body, limits, of)
        if not 200 <= answer.status < 300:
            leads_to = answer.headers.get("location")
            refusal = error_from_body(
                answer.status, answer.body, _texts_of(headers, body), leads_to
            )
            refusal.retry_after_s = seconds_to_wait(
                answer.headers.get("retry-after"), answer.headers.get("date")
            )
            raise refusal
        return answer

    async def _answer(
        self,
        method: str,
        url: str,
        headers: Mapping[str, Hidden] | None = None,
        body: Secret[Any] | None = None,
        limits: httpx.Timeout = READ_TIMEOUT,
        of: Hidden | None = None,
    ) -> Answer:
        """Send a request once and return its whole response."""
        if self.http.is_closed:
            raise FirmlyError(*LAB_CLOSED)
        cookies = httpx.Cookies(self._cookies.get(of)) if of else httpx.Cookies()
        failure: FirmlyError | None = None
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await self._exchange(method, url, headers or {}, body, limits, cookies)
        except httpx.ConnectTimeout as error:
            failure = await full_cause_of(error, url, self.way)
        except (TimeoutError, httpx.TimeoutException):
            failure = FirmlyError("Timeout", f"{_where(url)} did not respond in time")
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            failure = await full_cause_of(error, url, self.way)
        # Raised out here: chained to it would be the request, secrets and all.
        if failure and self.http.is_closed:
            raise FirmlyError(*LAB_CLOSED)
        if failure:
            raise failure
        if len(answer.body) > MAX_ANSWER_BYTES:
            text = f"{answer.where} responded with more than {MAX_ANSWER_BYTES} bytes"
            raise FirmlyError("UnexpectedAnswer", text, answer.status)
        return answer

    async def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, Hidden],
        body: Secret[Any] | None,
        limits: httpx.Timeout,
        cookies: httpx.Cookies,
    ) -> Answer:
        """Send a request and read what comes, up to a little more than is taken."""
        request = self.http.build_request(
            method,
            url,
            headers=_opened(headers),
            json=body.get_secret_value() if body else None,
            timeout=limits,
        )
        cookies.set_cookie_header(request)
        response = await self._sent(request)
        cookies.extract_cookies(response)
        for one in [*cookies.jar]:
            if not SENDABLE.fullmatch(f"{one.name}={one.value}"):
                # It would be an error of every request after this one.
                cookies.jar.clear(one.domain, one.path, one.name)
        content = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    break
        finally:
            await response.aclose()
        came = as_utf8(bytes(content), response.headers.get("content-type", ""))
        return Answer(response.status_code, _where(url), response.headers, cookies, came)

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        """Send a request once; its response is not read yet, and no redirect is followed."""
        with own_request():
            response = await self.http.send(request, stream=True, follow_redirects=False)
        response.headers = response.extensions.pop(ALL_HEADERS, response.headers)
        return response


async def _lead_nowhere(response: httpx.Response) -> None:
    """Hide where a redirect leads: httpx reads that also of one that it does not follow.

    Where it cannot, it raises, and the status and body of the response would be lost.
    """
    if LOCATION in response.headers:
        response.extensions[ALL_HEADERS] = response.headers.copy()
        del response.headers[LOCATION]


def authorization(token: Hidden) -> dict[str, Hidden]:
    """Return the header that carries the device token: the token alone."""
    return {"x-firmly-authorization": token}


def _opened(headers: Mapping[str, Hidden]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in headers.items()}


def _texts_of(headers: Mapping[str, Hidden] | None, body: Secret[Any] | None) -> tuple[str, ...]:
    """Return the texts of a request that its answer must not bring back out."""
    values = body.get_secret_value() if body else {}
    texts = [*_opened(headers or {}).values(), *(values.get(key) for key in BODY_SECRETS)]
    return tuple(text for text in texts if isinstance(text, str) and text)


def read_session(answer: Answer, made_ns: int) -> Session:
    """Read a session.

    The API's clock may be another than ours. So its ``expires_in`` counts, or else the time from
    the date of its response to ``expires``.

    Raises
    ------
    FirmlyError
        With the field that is missing or is not what it has to be.
    """
    from pydantic import SecretStr

    values = _json(answer)
    if not isinstance(values, dict):
        raise FirmlyError("UnexpectedAnswer", "the session is not a JSON object")
    token, device_id = values.get("access_token"), values.get("device_id")
    lifetime_s, expires = _number(values.get("expires_in")), _number(values.get("expires"))
    usable = {
        "access_token": isinstance(token, str) and TOKEN.fullmatch(token),
        "device_id": device_id is not None,
        "expires_in": lifetime_s is not None or expires is not None,
    }
    for name, is_usable in usable.items():
        if not is_usable:
            text = f"the session's {name} is missing, or is none that can be used"
            raise FirmlyError("UnexpectedAnswer", text)
    now = time.time()
    if lifetime_s is None:
        date = moment_of(answer.headers.get("date"))
        lifetime_s = (expires or 0.0) - (now if date is None else date)
    else:
        expires = now + lifetime_s
    return Session(
        SecretStr(str(token)),
        str(device_id),
        expires or 0.0,
        device_created=bool(values.get("device_created", False)),
        lifetime_s=lifetime_s,
        made_ns=made_ns,
    )


def _number(value: Any) -> float | None:
    """Return a number, also one that was sent as text; None if it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _json(answer: Answer) -> Any:
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        failure = unread_body(answer)
    raise failure


def unread_body(answer: Answer, secrets: tuple[str, ...] = ()) -> FirmlyError:
    """Make the error of a response without JSON: mostly a gateway or a login page answered."""
    text = answer.body[:LONGEST_PAGE].decode("utf-8", "replace").strip()
    if not text.startswith("<"):
        said = f"{answer.where} responded with a body that is not JSON"
        return FirmlyError("UnexpectedAnswer", redact_text(said), answer.status)
    # Of such a page the title says most.
    title = redact_text(without_markup(text), secrets)
    said = f"{answer.where} responded with a page: {cut(title, LONGEST_URL)}"
    error = FirmlyError("UnexpectedAnswer", redact_text(said), answer.status)
    error.code = "FNB226"  # it was hardly the API that answered
    return error


def _where(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}{parts.path}"[:LONGEST_URL]
