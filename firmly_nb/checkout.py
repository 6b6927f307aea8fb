"""A cart that is built call by call: ``lab.flow()``, and the single calls of a lab.

Each call waits; its twin ``*_async`` is awaited. Both run on the background loop, through the
recorder, as an order does.
"""

from __future__ import annotations

import queue
from html import escape
from typing import TYPE_CHECKING, Any, Self, TypeVar

from firmly_nb.api import flow as steps
from firmly_nb.api.models import Address, Card
from firmly_nb.api.money import money_text
from firmly_nb.api.secrets import SecretStr
from firmly_nb.api.snapshots import find_snapshot
from firmly_nb.background import follow, follow_async, submit
from firmly_nb.display.arguments import public, watched
from firmly_nb.display.messages import coded_error, wrong_type
from firmly_nb.display.text import count, printable
from firmly_nb.docstrings import tells_twins
from firmly_nb.engine import said_of_interrupted
from firmly_nb.environments import guard
from firmly_nb.options import options_of
from firmly_nb.recordings.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from firmly_nb.api.flow import Step
    from firmly_nb.api.models import Item
    from firmly_nb.background import Running
    from firmly_nb.calls import Calls
    from firmly_nb.engine import Bench
    from firmly_nb.recorder.records import Record


SHOW_EVERY_S = 0.05
Verb = TypeVar("Verb")


class ShownCart(dict[str, Any]):
    """Cart as the API sent it, redacted: a dict that shows itself in one line.

    Examples
    --------
    >>> ShownCart({"line_items": [{}], "total": {"currency": "USD", "value": 22.0}})
    Cart(1 line item, total 22.00 USD)
    """

    def __repr__(self) -> str:
        found = find_snapshot(dict(self))
        lines = self.get("line_items")
        parts = [count(len(lines) if isinstance(lines, list) else 0, "line item")]
        if found and found.total:
            parts.append(f"total {printable(money_text(*found.total))}")
        return f"Cart({', '.join(parts)})"

    def _repr_html_(self) -> str:
        return escape(repr(self))


@public
@tells_twins
class Checkout:
    """Flow with an existing cart, made by ``lab.flow``: each method is one recorded call.

    Use it as a context manager, also with ``async with``. Left without ``complete_order`` nothing
    is ordered, and ``lab.last`` is the recording of its calls.
    """

    def __init__(
        self,
        bench: Bench,
        calls: Calls,
        show: Callable[[Record], None] | None = None,
        on_record: Callable[[Record], None] | None = None,
        lab: object = None,
    ) -> None:
        self._lab = lab  # one that is forgotten meanwhile is closed after its flow
        self._bench = bench
        self._domain = calls.start.domain
        self._calls = calls
        self._show = show
        self._on_record = on_record
        self._to_show: queue.SimpleQueue[Record] = queue.SimpleQueue()
        self._left = False

    @property
    def domain(self) -> str:
        """Host name of the merchant."""
        return self._domain

    @property
    def cart(self) -> ShownCart | None:
        """Cart after the last call; None before the first."""
        cart = self._calls.cart
        return None if cart is None else ShownCart(cart)

    @property
    def recording(self) -> Recording | None:
        """Recording so far, complete once the flow has ended; None before the first call."""
        return Recording(list(self._calls.records)) if self._calls.records else None

    @property
    def done(self) -> bool:
        """True once the flow has ended: no further call can be made."""
        return self._left or self._calls.ended

    def add_line_item(self, item: Item, *, flush_cart: bool = False) -> ShownCart:
        """Add an item; the first of a flow goes into an empty cart. Returns the cart.

        Raises
        ------
        FirmlyError
            If the merchant refuses it. The flow can go on.
        """
        return self._wait(steps.add_line_item(item, flush_cart=flush_cart))

    async def add_line_item_async(self, item: Item, *, flush_cart: bool = False) -> ShownCart:
        """See :meth:`add_line_item`."""
        return await self._await(steps.add_line_item(item, flush_cart=flush_cart))

    def update_line_item(self, line: Item | str, quantity: int) -> ShownCart:
        """Change a quantity; ``line`` is a line item id, a variant id or an item."""
        return self._wait(steps.update_line_item(line, quantity))

    async def update_line_item_async(self, line: Item | str, quantity: int) -> ShownCart:
        """See :meth:`update_line_item`."""
        return await self._await(steps.update_line_item(line, quantity))

    def remove_line_item(self, line: Item | str) -> ShownCart:
        """Remove a line item, named by its id, a variant id or an item."""
        return self._wait(steps.remove_line_item(line))

    async def remove_line_item_async(self, line: Item | str) -> ShownCart:
        """See :meth:`remove_line_item`."""
        return await self._await(steps.remove_line_item(line))

    def set_shipping_info(self, address: Address) -> ShownCart:
        """Set the shipping address."""
        return self._wait(steps.set_shipping_info(address))

    async def set_shipping_info_async(self, address: Address) -> ShownCart:
        """See :meth:`set_shipping_info`."""
        return await self._await(steps.set_shipping_info(address))

    def set_billing_info(self, address: Address) -> ShownCart:
        """Set the billing address of the cart; ``complete_order`` has one of its own."""
        return self._wait(steps.set_billing_info(address))

    async def set_billing_info_async(self, address: Address) -> ShownCart:
        """See :meth:`set_billing_info`."""
        return await self._await(steps.set_billing_info(address))

    def set_shipping_method(self, method: str, shipment_id: str | None = None) -> ShownCart:
        """Choose a shipping method by its id, such as ``TWO_DAY``.

        Raises
        ------
        LookupError
            If no shipment offers it, or several do and none is named; nothing was sent.
        """
        return self._wait(steps.set_shipping_method(method, shipment_id))

    async def set_shipping_method_async(
        self, method: str, shipment_id: str | None = None
    ) -> ShownCart:
        """See :meth:`set_shipping_method`."""
        return await self._await(steps.set_shipping_method(method, shipment_id))

    def add_promo_code(self, *codes: str) -> ShownCart:
        """Apply 1 to 10 promo codes."""
        return self._wait(steps.add_promo_code(*codes))

    async def add_promo_code_async(self, *codes: str) -> ShownCart:
        """See :meth:`add_promo_code`."""
        return await self._await(steps.add_promo_code(*codes))

    def clear_promo_codes(self) -> ShownCart:
        """Take all promo codes off."""
        return self._wait(steps.clear_promo_codes())

    async def clear_promo_codes_async(self) -> ShownCart:
        """See :meth:`clear_promo_codes`."""
        return await self._await(steps.clear_promo_codes())

    def complete_order(
        self,
        card: Card | None = None,
        billing_info: Address | None = None,
        captcha_token: SecretStr | str | None = None,
    ) -> Recording:
        """Order the cart and return the recording of all calls; the flow has ended then.

        Parameters
        ----------
        card
            A test card; by default ``Card.test()``.
        billing_info
            Billing address; by default the shipping address of this flow.
        captcha_token
            For merchants that need one.

        Raises
        ------
        GuardError
            If the card may not be used there; nothing was ordered.
        """
        made = self._complete(card, billing_info, captcha_token)
        return _ordered(made, self._calls, self._show_all)

    async def complete_order_async(
        self,
        card: Card | None = None,
        billing_info: Address | None = None,
        captcha_token: SecretStr | str | None = None,
    ) -> Recording:
        """See :meth:`complete_order`."""
        made = self._complete(card, billing_info, captcha_token)
        return await follow_async(made, self._show_all, every_s=SHOW_EVERY_S)

    def close(self) -> None:
        """End the flow; what was not ordered stays in the cart. Safe to call again."""
        self._left = True
        follow(submit(self._leave))

    def _wait(self, step: Step) -> ShownCart:
        return follow(self._send(step), self._show_all, every_s=SHOW_EVERY_S)

    async def _await(self, step: Step) -> ShownCart:
        return await follow_async(self._send(step), self._show_all, every_s=SHOW_EVERY_S)

    def _send(self, step: Step) -> Running[ShownCart]:
        self._check_open()
        guard(self._bench.environment, self._domain, None, by_calls=True)
        return submit(self._call, step)

    async def _call(self, step: Step) -> ShownCart:
        return ShownCart(await self._bench.call(self._calls, step, self._tell))

    def _tell(self, record: Record) -> None:
        self._to_show.put(record)
        if self._on_record:
            self._on_record(record)

    def _show_all(self) -> None:
        """Print in the thread that waits: what another one prints does not reach the cell."""
        while not self._to_show.empty():
            record = self._to_show.get()
            if self._show:
                self._show(record)

    def _complete(
        self,
        card: Card | None,
        billing_info: Address | None,
        captcha_token: SecretStr | str | None,
    ) -> Running[Recording]:
        self._check_open()
        secret = SecretStr(captcha_token) if isinstance(captcha_token, str) else captcha_token
        captcha_token = None  # a traceback may show the locals of its frames
        return completing(
            self._bench, self._calls, card, billing_info, secret, on_record=self._tell
        )

    def _check_open(self) -> None:
        if self.done:
            text = "This flow has ended. Begin another with lab.flow()."
            raise coded_error(RuntimeError, "FNB112", text)

    async def _leave(self) -> None:
        self._bench.leave(self._calls)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._left = True
        await follow_async(submit(self._leave))

    def __repr__(self) -> str:
        names = (self._calls.start.milestones or []) if self._calls.records else []
        state = "ended" if self.done else "open"
        return f"Checkout({self._domain}; {state}; {', '.join(names) or 'no call yet'})"


def completing(
    bench: Bench,
    calls: Calls,
    card: Card | None,
    billing_info: Address | None,
    captcha_token: SecretStr | None,
    on_record: Callable[[Record], None],
) -> Running[Recording]:
    """Begin the call that orders, after the guard's checks."""
    card = card or Card.test()
    guard(bench.environment, calls.start.domain, card, by_calls=True)
    billing = billing_info or calls.shipping_info
    if not isinstance(billing, Address):
        wanted = "a fnb.Address where no shipping address was set"
        raise wrong_type("billing_info", wanted, billing_info, "fnb.Address.example()")
    calls.captcha_token = captcha_token
    return submit(bench.complete, calls, card, billing, on_record)


def _ordered(
    made: Running[Recording], calls: Calls, show: Callable[[], object] | None = None
) -> Recording:
    """Wait for the call that orders; who interrupts it is told whether there may be an order."""
    try:
        return follow(made, show, every_s=SHOW_EVERY_S)
    except KeyboardInterrupt as error:
        rec = Recording(list(calls.records)) if calls.records else None
        error.args = (said_of_interrupted(rec, done=made.done()),)
        raise


def _nothing(record: Record) -> None:
    del record


def orders(verb: Verb) -> Verb:
    """Have who interrupts a lab's verb before anything was sent be told so."""
    return watched(lambda lab: lab._bench.watch())(verb)  # noqa: SLF001 - for the lab's own verbs


@public
@tells_twins
class CartCalls:
    """Calls of a lab about a cart, one by one; what ``lab.complete_order`` orders."""

    def _open(self) -> Bench:
        raise NotImplementedError

    def add_line_item(self, domain: str, item: Item, *, flush_cart: bool = False) -> ShownCart:
        """Add an item to this lab's cart at a merchant, and return the cart.

        Single calls change one cart for each merchant, until ``lab.complete_order`` orders it.
        They are not recorded; those of ``lab.flow`` are.

        Parameters
        ----------
        domain
            Host name of the merchant.
        item
            Item to add.
        flush_cart
            Whether the cart is emptied first.

        Raises
        ------
        GuardError
            If the merchant is not on the allow-list; nothing was sent.
        FirmlyError
            If the merchant refuses the call.
        RuntimeError
            If the lab is closed.

        Examples
        --------
        ::

            lab.add_line_item("staging.luma.gift", fnb.Item(variant_id="WS12-XS-Orange"))
        """
        return self._wait_for(domain, steps.add_line_item(item, flush_cart=flush_cart))

    async def add_line_item_async(
        self, domain: str, item: Item, *, flush_cart: bool = False
    ) -> ShownCart:
        """See :meth:`add_line_item`."""
        return await self._await_for(domain, steps.add_line_item(item, flush_cart=flush_cart))

    def update_line_item(self, domain: str, line: Item | str, quantity: int) -> ShownCart:
        """Change a quantity; ``line`` is a line item id, a variant id or an item.

        Parameters
        ----------
        domain
            Host name of the merchant.
        line
            Line item: its id, a variant id, or an ``Item``.
        quantity
            New quantity.

        Raises
        ------
        GuardError
            If the merchant is not on the allow-list; nothing was sent.
        FirmlyError
            If the merchant refuses the call.
        RuntimeError
            If the lab is closed.

        Examples
        --------
        ::

            lab.add_line_item("staging.luma.gift", fnb.Item(variant_id="WS12-XS-Orange"))
            lab.update_line_item("staging.luma.gift", "WS12-XS-Orange", 2)
        """
        return self._wait_for(domain, steps.update_line_item(line, quantity))

    async def update_line_item_async(
        self, domain: str, line: Item | str, quantity: int
    ) -> ShownCart:
        """See :meth:`update_line_item`."""
        return await self._await_for(domain, steps.update_line_item(line, quantity))

    def remove_line_item(self, domain: str, line: Item | str) -> ShownCart:
        """Remove a line item, named by its id, a variant id or an item.

        Parameters
        ----------
        domain
            Host name of the merchant.
        line
            Line item: its id, a variant id, or an ``Item``.

        Raises
        ------
        GuardError
            If the merchant is not on the allow-list; nothing was sent.
        FirmlyError
            If the merchant refuses the call.
        RuntimeError
            If the lab is closed.

        Examples
        --------
        ::

            lab.add_line_item("staging.luma.gift", fnb.Item(variant_id="WS12-XS-Orange"))
            lab.remove_line_item("staging.luma.gift", "WS12-XS-Orange")
        """
        return self._wait_for(domain, steps.remove_line_item(line))

    async def remove_line_item_async(self, domain: str, line: Item | str) -> ShownCart:
        """See :meth:`remove_line_item`."""
        return await self._await_for(domain, steps.remove_line_item(line))

    def set_shipping_info(self, domain: str, address: Address) -> ShownCart:
        """Set the shipping address.

        Parameters
        ----------
        domain
            Host name of the merchant.
        address
            Where to send the order.

        Raises
        ------
        GuardError
            If the merchant is not on the allow-list; nothing was sent.
        FirmlyError
            If the merchant refuses the call.
        RuntimeError
            If the lab is closed.

        Examples
        --------
        ::

            lab.add_line_item("staging.luma.gift", fnb.Item(variant_id="WS12-XS-Orange"))
            lab.set_shipping_info("staging.luma.gift", fnb.Address.example())
        """
        return self._wait_for(domain, steps.set_shipping_info(address))

    async def set_shipping_info_async(self, domain: str, address: Address) -> ShownCart:
        """See :meth:`set_shipping_info`."""
        return await self._await_for(domain, steps.set_shipping_info(address))

    def set_billing_info(self, domain: str, address: Address) -> ShownCart:
        """Set the billing address of the cart.

        Parameters
        ----------
        domain
            Host name of the merchant.
        address
            Where to send the bill.

        Raises
        ------
        GuardError
            If the merchant is not on the allow-list; nothing was sent.
        FirmlyError
            If the merchant refuses the call.
        RuntimeError
            If the lab is closed.

        Examples
        --------
        ::

            lab.set_billing_info("staging.luma.gift", fnb.Address.example())
        """
        return self._wait_for(domain, steps.set_billing_info(address))

    async def set_billing_info_async(self, domain: str, address: Address) -> ShownCart:
        """See :meth:`set_billing_info`."""
        return await self._await_for(domain, steps.set_billing_info(address))

    def set_shipping_method(
        self, domain: str, method: str, shipment_id: str | None = None
    ) -> ShownCart:
        """Choose a shipping method by its id.

        Parameters
        ----------
        domain
            Host name of the merchant.
        method
            Id of the method, such as ``TWO_DAY``.
        shipment_id
            Id of the shipment, if the cart has several.

        Raises
        ------
        LookupError
            If no shipment offers it, or several do and none is named; nothing was sent.
        GuardError
            If the merchant is not on the allow-list; nothing was sent.
        FirmlyError
            If the merchant refuses the call.
        RuntimeError
            If the lab is closed.

        Examples
        --------
        ::

            lab.set_shipping_method("staging.luma.gift", "TWO_DAY")
        """
        return self._wait_for(domain, steps.set_shipping_method(method, shipment_id))

    async def set_shipping_method_async(
        self, domain: str, method: str, shipment_id: str | None = None
    ) -> ShownCart:
        """See :meth:`set_shipping_method`."""
        return await self._await_for(domain, steps.set_shipping_method(method, shipment_id))

    def add_promo_code(self, domain: str, *codes: str) -> ShownCart:
        """Apply 1 to 10 promo codes.

        Parameters
        ----------
        domain
            Host name of the merchant.
        *codes
            1 to 10 promo codes.

        Raises
        ------
        GuardError
            If the merchant is not on the allow-list; nothing was sent.
        FirmlyError
            If the merchant refuses the call.
        RuntimeError
            If the lab is closed.

        Examples
        --------
        ::

            lab.add_promo_code("staging.luma.gift", "LUMA10")
        """
        return self._wait_for(domain, steps.add_promo_code(*codes))

    async def add_promo_code_async(self, domain: str, *codes: str) -> ShownCart:
        """See :meth:`add_promo_code`."""
        return await self._await_for(domain, steps.add_promo_code(*codes))

    def clear_promo_codes(self, domain: str) -> ShownCart:
        """Take all promo codes off.

        Parameters
        ----------
        domain
            Host name of the merchant.

        Raises
        ------
        GuardError
            If the merchant is not on the allow-list; nothing was sent.
        FirmlyError
            If the merchant refuses the call.
        RuntimeError
            If the lab is closed.

        Examples
        --------
        ::

            lab.clear_promo_codes("staging.luma.gift")
        """
        return self._wait_for(domain, steps.clear_promo_codes())

    async def clear_promo_codes_async(self, domain: str) -> ShownCart:
        """See :meth:`clear_promo_codes`."""
        return await self._await_for(domain, steps.clear_promo_codes())

    @orders
    def complete_order(
        self,
        domain: str,
        card: Card | None = None,
        billing_info: Address | None = None,
        captcha_token: SecretStr | str | None = None,
        **options: Any,
    ) -> Recording:
        """Order this lab's cart at a merchant, and record that one call.

        Parameters
        ----------
        domain
            The merchant.
        card
            A test card; by default ``Card.test()``.
        billing_info
            Billing address; by default the address that ``set_shipping_info`` was given.
        captcha_token
            For merchants that need one.
        **options
            Those of ``lab.place``.

        Raises
        ------
        GuardError
            If something may not be ordered there; nothing was sent.

        Examples
        --------
        ::

            lab.add_line_item("staging.luma.gift", fnb.Item(variant_id="WS12-XS-Orange"))
            lab.set_shipping_info("staging.luma.gift", fnb.Address.example())
            lab.complete_order("staging.luma.gift")
        """
        return _ordered(*self._completing(domain, card, billing_info, captcha_token, options))

    @orders
    async def complete_order_async(
        self,
        domain: str,
        card: Card | None = None,
        billing_info: Address | None = None,
        captcha_token: SecretStr | str | None = None,
        **options: Any,
    ) -> Recording:
        """See :meth:`complete_order`."""
        made, _ = self._completing(domain, card, billing_info, captcha_token, options)
        return await follow_async(made)

    def _completing(
        self,
        domain: str,
        card: Card | None,
        billing_info: Address | None,
        captcha_token: SecretStr | str | None,
        options: dict[str, Any],
    ) -> tuple[Running[Recording], Calls]:
        bench = self._open()
        secret = SecretStr(captcha_token) if isinstance(captcha_token, str) else captcha_token
        captcha_token = None  # a traceback may show the locals of its frames
        own = ("card", "billing_info", "captcha_token")
        calls = bench.flow_of_single_calls(domain, options_of("complete_order()", options, own))
        return completing(bench, calls, card, billing_info, secret, _nothing), calls

    def _wait_for(self, domain: str, step: Step) -> ShownCart:
        return follow(self._change(domain, step))

    async def _await_for(self, domain: str, step: Step) -> ShownCart:
        return await follow_async(self._change(domain, step))

    def _change(self, domain: str, step: Step) -> Running[ShownCart]:
        bench = self._open()
        guard(bench.environment, domain, None, by_calls=True)
        return submit(_changed, bench, domain, step)


async def _changed(bench: Bench, domain: str, step: Step) -> ShownCart:
    return ShownCart(await bench.change(domain, step))
