"""One order and the calls that order nothing, for :class:`Conformance`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from firmly_nb.api.client import authorization, read_session, session_clock_ns
from firmly_nb.api.errors import FirmlyError, error_from_body, moment_of
from firmly_nb.api.personal import personal_values
from firmly_nb.api.secrets import Secret, SecretStr
from firmly_nb.api.values import plain_text
from firmly_nb.conformance.result import Conformance
from firmly_nb.conformance.seen import (
    ENDPOINTS,
    MOST_LOOKED_AT,
    NO_SESSION,
    SESSION,
    STREAM,
    Seen,
    note_order,
    type_of,
)
from firmly_nb.devices import once_more
from firmly_nb.display.messages import without_code
from firmly_nb.environments import guard
from firmly_nb.options import Options
from firmly_nb.wire.stamps import monotonic_ns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from firmly_nb.api.client import Answer
    from firmly_nb.api.models import Card, Order
    from firmly_nb.api.secrets import Hidden
    from firmly_nb.engine import Bench
    from firmly_nb.recordings.recording import Recording

NO_APP_ID = SecretStr("00000000-0000-0000-0000-000000000000")
NO_PRODUCT = "firmly-nb-no-such-product"
PAGE_SIZE = 100
REFUSED_FROM = 400


async def examine(bench: Bench, order: Order, card: Card) -> Conformance:
    """Place one order, put the questions that order nothing, and hold it all against what is known.

    Raises
    ------
    GuardError
        If it may not be ordered there; nothing was sent.
    FirmlyError
        If the API cannot be reached.
    """
    guard(bench.environment, order.domain, card)
    began_at = time.time()
    addresses = [one.model_dump() for one in (order.shipping_info, order.billing_info) if one]
    personal = personal_values(*addresses, {"first_name": card.name})
    secret = (bench.app_id.get_secret_value(),)
    seen = Seen(bench.environment.is_local, tuple(personal), secret)
    asking = Asking(bench, order, seen)
    rec: Recording | None = None
    milestones: list[str] = []
    if await asking.open():
        await asking.look_around()
        try:
            rec = await bench.place(order, card, Options(), lambda _: None, monotonic_ns())
        except FirmlyError as error:
            asking.lacks(STREAM, error)
        else:
            milestones = note_order(seen, rec)
            await asking.cart_of(rec)
    else:
        seen.lacks_call(STREAM, NO_SESSION)
    seen.close()
    return Conformance(
        table=seen.table(),
        host=urlsplit(bench.environment.api_url).netloc,
        environment=bench.environment.name,
        domain=order.domain,
        calls=tuple(asking.calls),
        complete=seen.complete,
        milestones=milestones,
        recording=rec,
        began_at=began_at,
        told=bench.milestones or (),
        clock_s=asking.clock_s,
    )


@dataclass
class Asking:
    """Questions that order nothing, one after another.

    They carry the token of the lab's own device, as the order does: one that has ended is renewed
    before the order.
    """

    bench: Bench
    order: Order
    seen: Seen
    calls: list[str] = field(default_factory=list)
    refused: bool = False  # a token that is refused is renewed once
    clock_s: float | None = None  # how far the API's clock is ahead of this machine's

    async def open(self) -> bool:
        """Ask for a session and look at it; without one nothing else can be asked."""
        where, endpoint = SESSION, ENDPOINTS["browser_session"]
        made_ns = session_clock_ns()
        answer = await self._send(endpoint, where, {"x-firmly-app-id": self.bench.app_id})
        payload = self.seen.answer(answer, endpoint, where)
        if payload is None:
            return False
        self.seen.object(payload, ["session"], 1, where)
        try:
            read_session(answer, made_ns)
        except FirmlyError as error:
            self.seen.lacks_call(where, error.description)
            return False
        return True

    async def look_around(self) -> None:
        """Ask for the key, the catalogue and the cart, and be refused a few times."""
        await self._ask("public_key", "payment key", auth=False)
        products = await self._ask("all_products", "products", query=f"?page=1&size={PAGE_SIZE}")
        entries = products if isinstance(products, list) else []
        first = next((entry for entry in entries if isinstance(entry, dict)), {})
        if handle := plain_text(first.get("handle")):
            await self._ask("one_product", "product", handle=handle)
        words = (plain_text(first.get("title")) or "").split()
        wanted = {"query": words[-1] if words else "shirt", "page_size": 5}
        await self._ask("search", "search", body=Secret(wanted))
        await self._ask("get_cart", "cart")
        # Refusals: the shape of an error, its name and its status.
        await self._ask("one_product", "unknown product", handle=NO_PRODUCT, probe=True)
        await self._ask("get_cart", "cart without a token", auth=False, probe=True)
        await self._ask(
            "browser_session",
            "unknown app id",
            auth=False,
            probe=True,
            headers={"x-firmly-app-id": NO_APP_ID},
        )

    async def cart_of(self, rec: Recording) -> None:
        """Ask for the cart of the order, as its device sees it."""
        endpoint, where = ENDPOINTS["get_cart"], "cart of the order"

        async def ask(token: SecretStr) -> Answer:
            return await self._send(endpoint, where, authorization(token))

        try:
            answer = await self.bench.devices().for_order(rec, ask)
        except (FirmlyError, LookupError) as error:
            self.lacks(where, error)
            return
        payload = self.seen.answer(answer, endpoint, where)
        if payload is not None:
            self.seen.object(payload, _kinds(payload, "cart"), 2, where)

    def lacks(self, where: str, error: Exception) -> None:
        """Note a call that failed, and why."""
        self.seen.lacks_call(where, without_code(str(error)))

    async def _ask(
        self,
        endpoint_id: str,
        where: str,
        *,
        auth: bool = True,
        probe: bool = False,
        headers: Mapping[str, Hidden] | None = None,
        **more: Any,
    ) -> Any:
        endpoint = ENDPOINTS[endpoint_id]

        async def send(given: Mapping[str, Hidden]) -> Answer:
            return await self._send(endpoint, where, given, **more)

        try:
            answer = await (self._with_token(send) if auth else send(headers or {}))
        except FirmlyError as error:
            self.lacks(where, error)
            return None
        payload = self.seen.answer(answer, endpoint, where, probe=probe)
        if payload is None:
            return None
        if endpoint.get("many") and not isinstance(payload, list):
            found = f"{endpoint['gives']}: {type_of(payload)}"
            self.seen.judge("type", found, where, None, "described: array")
            return payload
        api_version = 1 if _call_of(endpoint)[1].startswith("/api/v1/") else 2
        for each in payload[:MOST_LOOKED_AT] if endpoint.get("many") else [payload]:
            self.seen.object(each, _kinds(each, endpoint["gives"]), api_version, where)
        return payload

    async def _with_token(
        self, send: Callable[[Mapping[str, Hidden]], Awaitable[Answer]]
    ) -> Answer:
        """Send with the token of a device; once more with a new one where it was refused."""

        async def sent() -> Answer:
            async with self.bench.devices().take() as device:
                token = device.session.access_token
                self.seen.secrets += (token.get_secret_value(),)
                answer = await send(authorization(token))
                if answer.status >= REFUSED_FROM and not self.refused:
                    refusal = error_from_body(answer.status, answer.body, self.seen.secrets)
                    self.refused = refusal.refuses_token
                    if self.refused:
                        raise refusal
                return answer

        return await once_more(sent)

    async def _send(
        self,
        endpoint: dict[str, Any],
        where: str,
        headers: Mapping[str, Hidden],
        body: Secret[Any] | None = None,
        query: str = "",
        handle: str = "",
    ) -> Answer:
        method, path = _call_of(endpoint)
        self.calls.append(f"{method} {path} ({where})")
        filled = path.replace("{domain}", quote(self.order.domain, safe=""))
        filled = filled.replace("{handle}", quote(handle, safe=""))
        client = self.bench.client()
        answer = await client.ask(method, filled + query, headers, body, host=endpoint["host"])
        date = moment_of(answer.headers.get("date"))
        if self.clock_s is None and date is not None:
            self.clock_s = date - time.time()
        return answer


def _kinds(payload: Any, gives: str) -> list[str]:
    """Return what a response is described as: a cart that was ordered is an order as well."""
    is_order = isinstance(payload, dict) and (
        payload.get("cart_status") == "submitted" or "platform_order_number" in payload
    )
    return [gives, "order"] if gives == "cart" and is_order else [gives]


def _call_of(endpoint: dict[str, Any]) -> tuple[str, str]:
    """Return method and path of an endpoint: the newest version that its pages name."""
    calls = [call.split() for call, mark in endpoint["calls"].items() if mark == "documented"]
    method, path = next((one for one in calls if one[1].startswith("/api/v2/")), calls[0])
    return method, path
