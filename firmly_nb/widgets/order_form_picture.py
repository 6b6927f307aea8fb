"""An order form where no front end is: as text, and as a still picture for shared notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from firmly_nb.recording.display import FONT, QUIET
from firmly_nb.widgets.form_words import place_words

if TYPE_CHECKING:
    from firmly_nb.widgets.order_form import OrderForm

LINE = "border:1px solid var(--jp-border-color1,#bdbdbd);"
LONGEST = 120


def form_text(form: OrderForm) -> str:
    """Return what would be ordered and where; no address, no card."""
    where = form.lab.environment.name
    wrong = f"; {len(form.problems)} fields are not right yet" if form.problems else ""
    return f"OrderForm({where}; {_merchant(form)}, {_pieces(form)}{wrong})"


def form_html(form: OrderForm) -> str:
    """Return the bench as it stood when it was shown; everything in it is escaped."""
    where = place_words(form.lab)
    strip = (
        f'<div style="padding:4px 8px;background:var(--jp-layout-color2,#f5f5f5)"><b>'
        f"{escape(where['label'])}</b> {escape(where['text'])}</div>"
    )
    left = f"text-align:left;{QUIET}padding:2px 12px 2px 8px"
    rows = "".join(
        f'<tr style="background:none"><td style="{left}">{escape(name)}</td>'
        f'<td style="text-align:left"><bdi>{escape(_short(text))}</bdi></td></tr>'
        for name, text in summary(form)
    )
    table = f'<table style="{FONT}border:none;table-layout:auto;margin:4px 0">{rows}</table>'
    note = (
        f'<div style="{QUIET}padding:2px 8px">The order form as it stood then; run the cell to use '
        "it.</div>"
    )
    parts = [strip, table, _happened(form), note]
    return f'<div style="{FONT}{LINE}max-width:900px">{"".join(parts)}</div>'


def summary(form: OrderForm) -> list[tuple[str, str]]:
    """Return what stands in the form, a line each; of an address only city and country."""
    order = form.order
    ship = order.shipping_info if order else None
    bill = order.billing_info if order else None
    return [
        ("Merchant", _merchant(form)),
        ("Items", _items(form)),
        ("Ship to", f"{ship.city}, {ship.country}" if ship else "not filled in yet"),
        ("Bill to", f"{bill.city}, {bill.country}" if bill else "same as shipping"),
        ("Card", f"test card “{form.card_name}”" if form.card_name != "typed" else "typed"),
        ("How", f"{'events' if form.sse else 'no events'}, {'warm' if form.warm else 'cold'}"),
    ]


def _happened(form: OrderForm) -> str:
    recording = form.recording
    if recording is None:
        return f'<div style="padding:4px 8px;{QUIET}">No order was placed from it yet.</div>'
    cart = "" if recording.cart is None else recording.show_cart().html
    return f'<div style="padding:4px 8px">{recording._repr_html_()}{cart}</div>'


def _merchant(form: OrderForm) -> str:
    return form.order.domain if form.order else "no order yet"


def _pieces(form: OrderForm) -> str:
    count: Any = form.order.quantity if form.order else 0
    return "1 piece" if count == 1 else f"{count} pieces"


def _items(form: OrderForm) -> str:
    order = form.order
    return ", ".join(f"{i.quantity} x {i.variant_id}" for i in order.items) if order else "-"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
