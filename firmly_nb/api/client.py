"""One async method for each endpoint that an order needs.

Stateless: tokens go in and come out as values; who keeps them is decided elsewhere (``lab``).
Redirects are not followed, nothing is sent twice (firmly-api.md, section 7.4).
"""

from __future__ import annotations

from collections.abc import AsyncIterator  # noqa: TC003 - contextlib needs it when it decorates
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import orjson

from firmly_nb.api.card import PublicKey, read_public_key
from firmly_nb.api.errors import FirmlyError, error_from_body, seconds_to_wait
from firmly_nb.api.secrets import SecretStr

if TYPE_CHECKING:
    from collections.abc import Mapping

SESSION_TIMEOUT = httpx.Timeout(10.0)
KEY_TIMEOUT = httpx.Timeout(10.0)
READ_TIMEOUT = httpx.Timeout(30.0)
# Merchants are asked live while the request waits (firmly-api.md, section 9).
ORDER_TIMEOUT = httpx.Timeout(120.0, connect=15.0)
BODY_SECRETS = ("access_token", "encrypted_card", "captcha_token")


@dataclass(frozen=True, slots=True)
class Session:
    """A device's session: the token, whose device, and until when (Unix seconds)."""

    access_token: SecretStr
    device_id: str
    expires: float
    device_created: bool


class FirmlyClient:
    """The API of one environment over one ``httpx.AsyncClient``.

    Parameters
    ----------
    http
        The client that sends. Its transport decides how, this class decides what.
    api_url, card_url
        Base URLs: sessions, carts and catalogue; card data (firmly-api.md, section 1.2).
    """

    def __init__(self, http: httpx.AsyncClient, api_url: str, card_url: str) -> None:
        self.http = http
        self.api_url = api_url.rstrip("/")
        self.card_url = card_url.rstrip("/")

    async def browser_session(self, app_id: SecretStr, renew: SecretStr | None = None) -> Session:
        """Get a device token; with the old one the device, and so its carts, stay the same.

        firmly-api.md, section 2.1.
        """
        headers = {"x-firmly-app-id": app_id.get_secret_value()}
        body = {"access_token": renew.get_secret_value()} if renew else None
        answer = await self._call(
            "POST",
            f"{self.api_url}/api/v1/browser-session",
            headers=headers,
            json=body,
            timeout=SESSION_TIMEOUT,
        )
        try:
            return Session(
                access_token=SecretStr(answer["access_token"]),
                device_id=str(answer["device_id"]),
                expires=float(answer["expires"]),
                device_created=bool(answer.get("device_created", False)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FirmlyError(
                "UnexpectedAnswer", f"the session lacks or garbles a field: {type(error).__name__}"
            ) from None

    async def payment_key(self) -> PublicKey:
        """Get the public key for cards. Keys rotate: ask before each encryption (section 3.1)."""
        response = await self._send(
            "GET", f"{self.card_url}/api/v1/payment/key", timeout=KEY_TIMEOUT
        )
        return read_public_key(_json(response), response.headers.get("x-firmly-kid"))

    async def place_order(
        self, domain: str, body: Mapping[str, Any], token: SecretStr
    ) -> dict[str, Any]:
        """Place an order without events and return the confirmation (section 4.2)."""
        answer = await self._call(
            "POST",
            self.place_order_url(domain),
            headers=authorization(token),
            json=body,
            timeout=ORDER_TIMEOUT,
        )
        if not isinstance(answer, dict):
            raise FirmlyError("UnexpectedAnswer", "the confirmation is no JSON object")
        return answer

    @asynccontextmanager
    async def stream_order(
        self,
        domain: str,
        body: Mapping[str, Any],
        token: SecretStr,
        *,
        sse: bool = True,
        limits: httpx.Timeout = ORDER_TIMEOUT,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """Send Place Order and hand out the answer while it arrives (section 4.4).

        Any status comes out as it is: what it means is for the reader of the stream to say.
        """
        accept = "text/event-stream" if sse else "application/json"
        request = self.http.build_request(
            "POST",
            self.place_order_url(domain, sse=sse),
            headers={
                **authorization(token),
                "Accept": accept,
                # A compressor on the way would gather events.
                "Accept-Encoding": "identity",
                "Content-Type": "application/json",
                **(headers or {}),
            },
            content=orjson.dumps(body),
            timeout=limits,
            extensions=dict(extensions or {}),
        )
        response = await self.http.send(request, stream=True, follow_redirects=False)
        try:
            yield response
        finally:
            await response.aclose()

    def place_order_url(self, domain: str, *, sse: bool = False) -> str:
        """Return the URL of Place Order v2 at a merchant."""
        url = f"{self.card_url}/api/v2/payment/domains/{quote(domain, safe='')}/place-order"
        return f"{url}?sse=true" if sse else url

    async def cart(self, domain: str, token: SecretStr) -> dict[str, Any]:
        """Get this device's cart at a merchant (section 6.1).

        The sources differ on a trailing slash, so a route that is not found is tried with one.
        """
        url = f"{self.api_url}/api/v2/domains/{quote(domain, safe='')}/cart"
        try:
            answer = await self._call("GET", url, headers=authorization(token))
        except FirmlyError as error:
            if error.error not in {"RouteNotFound", "HTTP 404"}:
                raise
            answer = await self._call("GET", f"{url}/", headers=authorization(token))
        if not isinstance(answer, dict):
            raise FirmlyError("UnexpectedAnswer", "the cart is no JSON object")
        return answer

    async def products(
        self, domain: str, token: SecretStr, page: int = 1, size: int = 500
    ) -> list[dict[str, Any]]:
        """List a merchant's products: ``loc``, ``handle``, ``title``, ``image`` (section 10)."""
        url = f"{self.api_url}/api/v1/domains-products/{quote(domain, safe='')}"
        answer = await self._call(
            "GET", url, headers=authorization(token), params={"page": page, "size": size}
        )
        return answer if isinstance(answer, list) else []

    async def product(self, domain: str, handle: str, token: SecretStr) -> dict[str, Any]:
        """Get one product with its variants and their ``add_to_cart_ref`` (section 10)."""
        path = f"{quote(domain, safe='')}/{quote(handle, safe='')}"
        url = f"{self.api_url}/api/v1/domains-products/{path}"
        answer = await self._call("GET", url, headers=authorization(token))
        return answer if isinstance(answer, dict) else {}

    async def search(
        self, query: str, token: SecretStr, filters: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Search products over the merchants enabled for the app id (section 10)."""
        body: dict[str, Any] = {"query": query}
        if filters:
            body["filters"] = dict(filters)
        url = f"{self.api_url}/api/v1/discovery/search"
        answer = await self._call("POST", url, headers=authorization(token), json=body)
        return list(answer.get("products", [])) if isinstance(answer, dict) else []

    async def _call(self, method: str, url: str, **options: Any) -> Any:
        return _json(await self._send(method, url, **options))

    async def _send(self, method: str, url: str, **options: Any) -> httpx.Response:
        options.setdefault("timeout", READ_TIMEOUT)
        try:
            response = await self.http.request(method, url, follow_redirects=False, **options)
        except httpx.TimeoutException:
            raise FirmlyError("Timeout", f"{_where(url)} did not answer in time") from None
        except httpx.HTTPError as error:
            text = f"{_where(url)} cannot be reached: {type(error).__name__}"
            raise FirmlyError("TransportError", text) from None
        if not response.is_success:
            refusal = error_from_body(response.status_code, response.content, _secrets_of(options))
            refusal.retry_after_s = seconds_to_wait(response.headers.get("retry-after"))
            raise refusal
        return response


def authorization(token: SecretStr) -> dict[str, str]:
    """Return the header that carries the device token, raw (firmly-api.md, section 2.1)."""
    return {"x-firmly-authorization": token.get_secret_value()}


def _secrets_of(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the texts of a request that its answer must not bring back out."""
    headers, body = options.get("headers") or {}, options.get("json") or {}
    texts = [*headers.values(), *(body.get(key) for key in BODY_SECRETS)]
    return tuple(text for text in texts if isinstance(text, str) and text)


def _json(response: httpx.Response) -> Any:
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        raise FirmlyError(
            "UnexpectedAnswer",
            f"{_where(str(response.url))} answered with a body that is no JSON",
            response.status_code,
        ) from None


def _where(url: str) -> str:
    parsed = httpx.URL(url)
    return f"{parsed.host}{parsed.path}"
