"""``OrderForm``: a form that places orders, and beside it their timeline and carts.

The form is a view: whatever it can do is a property or a method here, and ``form.code()`` gives the
Python that needs no form at all.
"""

from __future__ import annotations

import threading
from functools import partial
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

import ipywidgets  # type: ignore[import-untyped]  # it has no types of its own

from firmly_nb.api.models import TEST_CARDS, Card, InvalidOrder, Order, unknown_card
from firmly_nb.api.secrets import SecretStr
from firmly_nb.display.arguments import public
from firmly_nb.display.html import FONT, QUIET
from firmly_nb.display.messages import coded_error, quoted, wrong_type
from firmly_nb.display.table import Grid, Head, grid_html
from firmly_nb.display.text import count, printable, short_name
from firmly_nb.environments import GuardError, takes_any_card
from firmly_nb.recordings.recordings import Recordings
from firmly_nb.widgets.cart_view import CartView
from firmly_nb.widgets.code import code_for
from firmly_nb.widgets.draft import (
    CARD_FIELDS,
    MOST_TIMES,
    TYPED,
    Draft,
    SharedDraft,
    changes_for,
    order_from,
    problems,
)
from firmly_nb.widgets.form_page import (
    FormStrip,
    FormView,
    Requests,
    Typed,
    guarded,
    take_secrets,
    words_of,
)
from firmly_nb.widgets.frontend import display_with_image, show_closed, the_lab, with_static
from firmly_nb.widgets.order_run import FormWatcher, OrderRun, environment_words
from firmly_nb.widgets.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from firmly_nb.engine import Bench
    from firmly_nb.lab import Lab
    from firmly_nb.recordings.recording import Recording


NARROW = "330px"
WIDE = "370px"
LINE = "border:1px solid var(--jp-border-color1,#bdbdbd);"


class FormTimeline(Timeline):
    """Timeline beside a form, which has a button that asks the cart."""

    _how = "the cart"


@public
class OrderForm(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Order form with the timeline of its orders and their carts.

    It begins with an order that works (``Order.example()``), so one press places it. Card numbers,
    verification values and captcha tokens that are typed leave the page once, at that press, and
    are kept nowhere.

    Parameters
    ----------
    lab
        Lab that places the orders.
    order
        First order in the form; by default ``Order.example()``.

    Raises
    ------
    TypeError
        If ``lab`` is not a lab, or ``order`` is not an ``Order``.

    Attributes
    ----------
    timeline, cart_view
        Widgets beside the form: a :class:`Timeline` and a :class:`CartView`.

    Examples
    --------
    >>> import firmly_nb as fnb
    >>> with fnb.connect(profile="instant") as lab:
    ...     form = fnb.OrderForm(lab)
    ...     form.place().wait()[0].outcome
    'placed'
    """

    def __init__(self, lab: Lab, order: Order | None = None) -> None:
        self._lab = the_lab(lab)
        self._turns = threading.Lock()
        self._run: OrderRun | None = None
        self._recordings: list[Recording] = []
        self._unsettled: dict[str, Recording] = {}
        self._typed_as: str | None = None
        self._form = FormView(self._pressed, takes_any_card=takes_any_card(lab.environment))
        self._draft = SharedDraft(Draft(), self._form.send, self._wrong, self._changed)
        self._strip = FormStrip(environment_words(lab), self._draft, self.code)
        self.timeline = FormTimeline(details=False)  # the cart view beside it has both
        self.cart_view = CartView()
        self._watcher = FormWatcher(self._form, self.timeline, self.cart_view, self._keep)
        self._requests = Requests(self._bench, self._form)
        super().__init__([self._strip.view, self._columns()])
        self.layout = ipywidgets.Layout(overflow="visible", width="100%")
        self.add_class("firmly-bench")
        self.order = order or Order.example()
        self.timeline.observe(self._follow, "selected")
        show_closed(lab, self._form, "closed")

    @property
    def lab(self) -> Lab:
        """Lab that places the orders."""
        return self._lab

    @property
    def order(self) -> Order | None:
        """Order in the form; None while something in it is wrong.

        Set it to fill the form in. A captcha token is not kept: the form asks when it places.
        """
        try:
            return order_from(self._draft.now)
        except InvalidOrder:
            return None

    @order.setter
    def order(self, order: Order) -> None:
        if not isinstance(order, Order):
            raise wrong_type("order", "a fnb.Order", order, "fnb.Order.example()")
        self._draft.put(changes_for(order))

    @property
    def problems(self) -> dict[str, str]:
        """Problems, by the field's path; empty if the order can be placed."""
        return self._draft.problems

    @property
    def card_name(self) -> str:
        """Name of a test card, or ``"typed"`` for a card that is typed in the page."""
        return self._draft.now.card_name

    @card_name.setter
    def card_name(self, name: str) -> None:
        if name not in {*TEST_CARDS, TYPED}:
            raise unknown_card(name, (TYPED,))
        self._draft.put({"card_name": name})

    @property
    def sse(self) -> bool:
        """True if the order asks for events; otherwise one response comes at the end."""
        return self._draft.now.sse

    @sse.setter
    def sse(self, value: bool) -> None:
        self._draft.put({"sse": value})

    @property
    def warm(self) -> bool:
        """True if the connection is opened before the order; a cold one is part of its time."""
        return self._draft.now.warm

    @warm.setter
    def warm(self, value: bool) -> None:
        self._draft.put({"warm": value})

    @property
    def times(self) -> int | None:
        """Number of orders that a press places, one after another; None while none is typed."""
        return self._draft.now.times

    @times.setter
    def times(self, value: int) -> None:
        self._draft.put({"times": value})

    @property
    def running(self) -> bool:
        """True while an order is running."""
        return self._run is not None and not self._run.done

    @property
    def recording(self) -> Recording | None:
        """Recording of the last order that ended; None before the first."""
        return self._recordings[-1] if self._recordings else None

    @property
    def recordings(self) -> Recordings:
        """Recordings of all orders of this form, oldest first."""
        return Recordings(list(self._recordings))

    @property
    def error(self) -> str:
        """Error beside the orders, as the form shows it; empty if there is none."""
        return str(self._form.notice)

    def place(
        self, card: Card | None = None, captcha_token: str | SecretStr | None = None
    ) -> OrderRun:
        """Place the order in the form, as a press does; return at once.

        Parameters
        ----------
        card
            By default the test card that is picked. A card that is typed in the page is known to
            the page alone, so then one has to be given.
        captcha_token
            Where the merchant asks for one; it is not kept.

        Returns
        -------
        OrderRun
            ``.wait()`` waits and returns the recordings, ``.cancel()`` cancels.

        Raises
        ------
        InvalidOrder
            If something in the form is wrong; nothing was sent.
        GuardError
            If it may not be ordered there; nothing was sent.
        RuntimeError
            If an order is on its way.

        Examples
        --------
        ::

            fnb.OrderForm(lab).place().wait()
        """
        token = SecretStr(captcha_token) if isinstance(captcha_token, str) else captcha_token
        return self._start(card or self._picked_card(), token, self.times)

    def place_times(self, count: int, card: Card | None = None) -> OrderRun:
        """Place the order several times, one after another; see :meth:`place`.

        Parameters
        ----------
        count
            Number of orders, 1 to 100.
        card
            A test card; by default the one that is picked.

        Raises
        ------
        ValueError
            If it is more than a form places; ``lab.sweep`` places more.

        Examples
        --------
        ::

            fnb.OrderForm(lab).place_times(2).wait()
        """
        if not 1 <= count <= MOST_TIMES:
            text = (
                f"times must be 1 to {MOST_TIMES}, got {quoted(count)}. For more, use lab.sweep()."
            )
            raise coded_error(ValueError, "FNB702", text)
        return self._start(card or self._picked_card(), None, count)

    def cancel(self) -> None:
        """Cancel the running order and those after it, if there are any.

        Examples
        --------
        ::

            fnb.OrderForm(lab).cancel()
        """
        if self._run is not None and not self._run.done:
            self._form.run = {**self._form.run, "state": "cancelling"}
            self._run.cancel()

    def code(self) -> str:
        """Return the Python that does the same; it holds no secret.

        Raises
        ------
        InvalidOrder
            While something in the form is wrong.

        Examples
        --------
        ::

            print(fnb.OrderForm(lab).code())
        """
        draft = self._draft.now
        captcha = draft.merchant in self._form.captcha
        return code_for(draft, self._lab, typed_as=self._typed_as, captcha=captcha)

    @property
    def presets(self) -> list[str]:
        """Names of the presets that can be loaded."""
        return self._strip.presets

    def save_preset(self, name: str) -> None:
        """Save the form under a name, with addresses as typed, without secrets.

        Parameters
        ----------
        name
            Name of the preset.

        Raises
        ------
        ValueError
            If the order in the form is wrong, or the name cannot be one of a preset.

        Examples
        --------
        ::

            fnb.OrderForm(lab).save_preset("mine")
        """
        self._strip.save(name)

    def load_preset(self, name: str) -> None:
        """Fill the form in from a preset.

        Parameters
        ----------
        name
            Name of the preset.

        Raises
        ------
        KeyError
            If there is no such preset.

        Examples
        --------
        ::

            form = fnb.OrderForm(lab)
            form.save_preset("mine")
            form.load_preset("mine")
        """
        self._strip.load(name)

    def delete_preset(self, name: str) -> None:
        """Delete a preset, if there is one of that name.

        Parameters
        ----------
        name
            Name of the preset.

        Examples
        --------
        ::

            form = fnb.OrderForm(lab)
            form.save_preset("mine")
            form.delete_preset("mine")
        """
        self._strip.delete(name)

    def __repr__(self) -> str:
        return form_text(self)

    _ipython_display_ = display_with_image

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return with_static(super()._repr_mimebundle_(**options), form_html(self))

    def _display_(self) -> Any:
        """Return the parts as marimo stacks them: it asks for this, and draws no ipywidgets box."""
        marimo = import_module("marimo")
        strip, columns = self.children
        form, beside = columns.children
        right = marimo.vstack(list(beside.children), gap=0)
        return marimo.vstack([strip, marimo.hstack([form, right], widths="equal", align="start")])

    @property
    def _bench(self) -> Bench:
        return self._lab._bench  # noqa: SLF001 - the form is the lab's own face

    def _columns(self) -> ipywidgets.Box:
        self._form.layout = ipywidgets.Layout(flex=f"1 1 {NARROW}", min_width="0", width="auto")
        right = ipywidgets.VBox([self.timeline, self.cart_view])
        right.layout = ipywidgets.Layout(flex=f"1.3 1 {WIDE}", min_width="0", overflow="visible")
        columns = ipywidgets.Box([self._form, right])
        columns.layout = ipywidgets.Layout(flex_flow="row wrap", overflow="visible", width="100%")
        columns.add_class("firmly-bench-columns")
        return columns

    def _picked_card(self) -> Card:
        if self.card_name == TYPED:
            text = "A typed card is known only to the page. Press Place there, or pass card."
            raise coded_error(ValueError, "FNB703", text)
        return Card.test(self.card_name)

    def _start(self, card: Card, token: SecretStr | None, count: int | None) -> OrderRun:
        draft = self._draft.now
        order = order_from(draft, token)
        found = self._wrong(draft)
        if found:
            raise InvalidOrder("OrderForm", list(found.items()))
        if token is not None and count != 1:
            text = "A captcha token is good for one order. Set the number of orders to 1."
            raise coded_error(ValueError, "FNB704", text)
        with self._turns:
            if self.running:
                text = "An order is already running. Stop it with form.cancel()."
                raise coded_error(RuntimeError, "FNB701", text)
            start = partial(self._lab.start, order, card, sse=draft.sse, warm=draft.warm)
            self._watcher.begin(count or 1, how_words(draft))
            try:
                self._run = OrderRun(start, count or 1, self._watcher)
            except BaseException:
                self._watcher.failed()
                raise
            return self._run

    def _pressed(self, content: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take a message from the form's page; show errors in the form and raise none."""
        answers: dict[str, Callable[[], None]] = {
            "draft": lambda: self._draft.tell(content),
            "edit": lambda: self._draft.take(content, buffers[0]),
            "place": lambda: self._place_pressed(content, buffers),
            "cancel": self.cancel,
            "show": lambda: self._show(str(content.get("recording_id"))),
            "look": self._look,
            "catalogue": lambda: self._requests.answer(content),
        }
        answer = answers.get(str(content.get("type")))
        if answer:
            guarded(self._form, answer)

    def _place_pressed(self, content: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        secrets, *draft = buffers
        typed = take_secrets(secrets)
        with self._turns:
            if content.get("turn") != self._form.turn or self.running:
                return
            with self._form.hold_sync():
                # In one message, so that nobody takes the last order's end for this one's.
                self._form.turn += 1
                self._form.notice = self._form.looked = ""
                self._form.result = {}
        if draft:
            # What is ordered is what the one who pressed could see.
            self._draft.take(content, draft[0])
        try:
            token = typed.captcha_token if typed.captcha_token.get_secret_value() else None
            self._start(self._card(typed), token, self.times)
        except (InvalidOrder, GuardError, ValueError) as error:
            said = words_of(error).replace(" Nothing was sent.", "")
            self._form.notice = f"Nothing was sent. {said}"

    def _card(self, typed: Typed) -> Card:
        if self.card_name != TYPED:
            return self._picked_card()
        known = {name: self._draft.now.card.get(name, "") for name in CARD_FIELDS}
        card = Card(number=typed.number, verification_value=typed.verification_value, **known)
        number = card.number.get_secret_value()
        self._typed_as = next((name for name, test in TEST_CARDS.items() if test == number), None)
        return card

    def _wrong(self, draft: Draft) -> dict[str, str]:
        return problems(draft, self._lab.environment)

    def _changed(self) -> None:
        self._strip.write_code()

    def _follow(self, change: Any) -> None:
        """Show the cart of the event that was picked in the timeline."""
        picked = change["new"]
        recording = picked and self.timeline.recording(picked["recording_id"])
        if recording:
            guarded(self._form, lambda: self.cart_view.show(recording, picked["seq"]))
        for own in self._recordings:
            if picked and own.recording_id == picked["recording_id"]:
                self._watcher.looked_at(own)

    def _show(self, recording_id: str) -> None:
        """Look at an order of the list, also after the timeline was emptied."""
        if self.timeline.recording(recording_id) is None:
            for recording in self._recordings:
                if recording.recording_id == recording_id:
                    self.timeline.add(recording)
        self.timeline.select(recording_id)

    def _keep(self, recording: Recording) -> None:
        self._recordings.append(recording)

    def _look(self) -> None:
        """Ask whether the order exists that the form says it does not know of."""
        for recording in self._recordings:
            if recording.recording_id == self._form.result.get("recording_id"):
                # What an active cart said may change: each time it is asked anew.
                asked = self._unsettled.setdefault(recording.recording_id, recording)
                self._requests.settle(asked, self._settled)

    def _settled(self, settled: Recording) -> None:
        """Show an order of which the cart said whether it exists, wherever it is shown."""
        for n, recording in enumerate(self._recordings):
            if recording.recording_id == settled.recording_id:
                self._recordings[n] = settled
        self.timeline.add(settled)
        self._watcher.settled(settled)


def form_text(form: OrderForm) -> str:
    """Return the order and its environment in a line, without address and card."""
    where = form.lab.environment.name
    wrong = f"; not right yet: {count(len(form.problems), 'field')}" if form.problems else ""
    order = form.order
    quantity: Any = order.quantity if order else 0
    return f"OrderForm({where}; {_merchant(order)}, quantity {quantity}{wrong})"


def form_html(form: OrderForm) -> str:
    """Return the form, its last order and its cart as static HTML; all texts are escaped."""
    where = environment_words(form.lab)
    strip = (
        f'<div style="padding:4px 8px;background:var(--jp-layout-color2,#f5f5f5)"><b>'
        f"{escape(where['label'])}</b> {escape(where['text'])}</div>"
    )
    heads = (Head(left=True, look="quiet"), Head(left=True, wraps=True))
    table = f'<div style="padding:0 8px">{grid_html(Grid(heads, summary(form)))}</div>'
    note = (
        f'<div style="{QUIET}padding:2px 8px">The order form as it stood then; run the cell to use '
        "it.</div>"
    )
    parts = [strip, table, _happened(form), note]
    return f'<div style="{FONT}{LINE}max-width:900px">{"".join(parts)}</div>'


def summary(form: OrderForm) -> list[tuple[str, str]]:
    """Return the form as names and texts; an address is its city and country only."""
    order = form.order
    rows = order.items if order else ()
    items = ", ".join(f"{row.quantity} x {short_name(row.variant_id)}" for row in rows)
    ship = order.shipping_info if order else None
    bill = order.billing_info if order else None
    return [
        ("Merchant", _merchant(order)),
        ("Items", items or "-"),
        ("Ship to", printable(f"{ship.city}, {ship.country}") if ship else "not filled in yet"),
        ("Bill to", printable(f"{bill.city}, {bill.country}") if bill else "same as shipping"),
        ("Card", f"test card “{form.card_name}”" if form.card_name != TYPED else TYPED),
        ("How", f"{'events' if form.sse else 'no events'}, {'warm' if form.warm else 'cold'}"),
    ]


def how_words(draft: Draft) -> str:
    """Return where orders go, with which card, and what differs from the usual way.

    Examples
    --------
    >>> how_words(Draft(merchant="a.test", card_name="visa", warm=False))
    'a.test · visa card · cold'
    """
    unusual = ["" if draft.sse else "no events", "" if draft.warm else "cold"]
    card = f"{draft.card_name} card"
    return " · ".join(filter(None, [short_name(draft.merchant), card, *unusual]))


def _happened(form: OrderForm) -> str:
    recording = form.recording
    if recording is None:
        return f'<div style="padding:4px 8px;{QUIET}">No order was placed from it yet.</div>'
    cart = "" if recording.cart is None else recording.show_cart().html
    return f'<div style="padding:4px 8px">{recording._repr_html_()}{cart}</div>'


def _merchant(order: Order | None) -> str:
    return order.domain if order else "no order yet"
