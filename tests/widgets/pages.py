"""What a page sends to an order form or a sweep panel, without a page."""

from __future__ import annotations

import orjson

import firmly_nb as fnb


def press(form, secrets=None, turn=None, **changes):
    """Do what the page does when its button is pressed, after some edits that it has not sent."""
    view = form._form
    draft = {**vars(form._draft.now), **changes}
    content = {"type": "place", "turn": view.turn if turn is None else turn}
    view._handle_custom_msg(content, [_buffer(secrets or {}), _buffer(draft)])
    return form._run


def edit(form, view="page", number=1, **changes):
    """Do what the page of an order form or sweep panel does when something is typed."""
    content = {"type": "edit", "view": view, "number": number}
    page_of(form)._handle_custom_msg(content, [_buffer(changes)])


def page_of(form):
    """Return the widget whose page has the fields."""
    return getattr(form, "_form", form)


def send(widget, **content):
    """Send a message that has no buffer."""
    widget._handle_custom_msg(content, [])


def at_rest(form):
    """Whether no order is on its way, and the form says so."""
    return not form.running and form._form.run["state"] == "idle"


def fault(name):
    """Return an order that makes the simulator fail in the way of that name."""
    return fnb.Order.example(items=[fnb.Item(variant_id=f"FAULT-{name.upper()}")])


def _buffer(value):
    return memoryview(orjson.dumps(value))
