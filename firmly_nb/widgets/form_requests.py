"""What a form's page asks for while one types: products, variants, a search, the cart.

Nothing is waited for: the question goes onto the background loop, the answer from there to the
page.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from firmly_nb import browsing
from firmly_nb.api.snapshots import find_snapshot
from firmly_nb.portal import submit
from firmly_nb.widgets import catalogue
from firmly_nb.widgets.form_words import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from concurrent.futures import Future

    from firmly_nb.placing import Bench
    from firmly_nb.widgets.form_view import FormView


class Requests:
    """Answers the questions of one form's page."""

    def __init__(self, bench: Bench, form: FormView) -> None:
        self._bench = bench
        self._form = form
        self._turn = asyncio.Lock()

    def answer(self, question: Mapping[str, Any]) -> None:
        """Look something up in the catalogue and send it: ``merchants``, ``products`` and so on."""
        about = str(question.get("about", ""))
        domain, handle = str(question.get("domain", "")), str(question.get("handle", ""))
        reply = {"type": "catalogue", "about": about, "domain": domain, "handle": handle}
        if about == "merchants":
            allowed = sorted(self._bench.environment.allow_domains)
            self._form.send({**reply, "found": allowed})
        elif about == "products":
            self._send_later(reply, self._ask(catalogue.products, domain))
        elif about == "variants":
            self._send_later(reply, self._ask(catalogue.variants, domain, handle))
        elif about == "search":
            words = str(question.get("words", ""))[:200]
            self._send_later({**reply, "words": words}, self._ask(catalogue.search, words))

    def look(self, domain: str) -> None:
        """Look at the cart that the device has at a merchant, and say what became of the order."""
        self._form.looked = f"Looking at the cart at {domain} …"
        future = submit(browsing.cart, self._bench, domain)
        future.add_done_callback(partial(_say, self._put_looked, domain))

    def _ask(self, question: Callable[..., Coroutine[Any, Any, Any]], *about: str) -> Future[Any]:
        async def in_turn() -> Any:
            # One call at a time needs one device; at once each would open its own.
            async with self._turn:
                return await question(self._bench, *about)

        return submit(in_turn)

    def _put_looked(self, text: str) -> None:
        self._form.looked = text

    def _send_later(self, reply: dict[str, Any], future: Future[Any]) -> None:
        def send(done: Future[Any]) -> None:
            if done.cancelled():
                return
            error = done.exception()
            found = {"problem": safe_text(error)} if error else {"found": done.result()}
            self._form.send({**reply, **found})

        future.add_done_callback(send)


def _say(put: Callable[[str], None], domain: str, future: Future[dict[str, Any]]) -> None:
    if future.cancelled():
        return
    error = future.exception()
    put(
        f"The cart cannot be read: {safe_text(error)}"
        if error
        else cart_words(future.result(), domain)
    )


def cart_words(cart: Mapping[str, Any], domain: str) -> str:
    """Say what a cart tells of an order whose end is not known.

    Examples
    --------
    >>> cart_words({"cart_status": "active"}, "a.test")
    'The cart at a.test is active: no order was placed from it.'
    """
    found = find_snapshot(dict(cart))
    number = found.order_number if found else None
    status = str((found.data if found else cart).get("cart_status") or "unknown")
    if number and status == "submitted":
        return f"It went through: the cart at {domain} is submitted, order {number}."
    if status == "active":
        return f"The cart at {domain} is active: no order was placed from it."
    return f"The cart at {domain} has the status {status[:100]}; ask the merchant."
