"""The page at ``/``: what there is to order, what can go wrong, and what was ordered last."""

from __future__ import annotations

import inspect
from html import escape
from typing import TYPE_CHECKING

from firmly_nb.sim.behaviour import FAULTS, PROFILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.routing import Route

    from firmly_nb.sim.world import World

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100%; font-size: .9rem }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0;
  border-bottom: 1px solid #ddd }
code { font-size: .85rem } .quiet { color: #666 }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #1b1b1b }
  th, td { border-color: #444 } .quiet { color: #999 } }
"""


def render_page(world: World, routes: Sequence[Route]) -> str:
    """Return the page."""
    settings = world.settings
    return "".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>firmly simulator</title>',
            f"<style>{STYLE}</style><h1>A simulator of firmly's API</h1>",
            f"<p>Profile <b>{escape(settings.profile)}</b>, seed <b>{settings.seed}</b>, ",
            f"{world.n_orders} orders so far. Nothing here is real; nothing leaves this machine. ",
            'The <a href="/openapi.json">OpenAPI document</a> has every field.</p>',
            "<h2>Recent orders</h2>",
            _recent(world),
            "<h2>Merchants</h2>",
            _merchants(world),
            "<h2>Routes</h2>",
            _routes(routes),
            "<h2>Faults</h2><p>By header <code>x-sim-fault: NAME</code>, by an item whose variant ",
            "id is <code>FAULT-NAME</code>, or for the whole server with <code>--fault</code>.</p>",
            _faults(),
            "<h2>Latency profiles</h2><p>By header <code>x-sim-profile</code>, or for the server.",
            _table(["profile", "meaning"], ((name, one.meaning) for name, one in PROFILES.items())),
        ]
    )


def _recent(world: World) -> str:
    if not world.recent:
        return '<p class="quiet">None yet: place an order to see it here.</p>'
    names = ["order", "domain", "mode", "profile", "fault", "error", "order_number"]
    rows = ([one[name] for name in names] for one in reversed(world.recent))
    return _table(names, rows)


def _merchants(world: World) -> str:
    rows = (
        (shop.domain, shop.platform_id, len(shop.variants), shop.character, _example(shop.variants))
        for shop in world.merchants.values()
    )
    return _table(["domain", "platform", "variants", "character", "for example"], rows)


def _example(variants: Iterable[str]) -> str:
    return next(iter(variants), "")


def _routes(routes: Sequence[Route]) -> str:
    rows = (
        (
            ", ".join(sorted((route.methods or set()) - {"HEAD"})),
            route.path,
            inspect.cleandoc(route.endpoint.__doc__ or "").partition("\n")[0].replace("``", ""),
        )
        for route in routes
    )
    return _table(["", "path", "what"], rows)


def _faults() -> str:
    rows = ((name, one.what, one.outcome, one.plain) for name, one in FAULTS.items())
    return _table(["fault", "what happens", "outcome", "without SSE"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    def row(cells: Sequence[object], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}" for cell in cells)

    return "<table>" + row(head, "th") + "".join(row(cells, "td") for cells in rows) + "</table>"
