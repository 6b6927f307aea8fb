"""The simulator's own routes, which the real API does not have: a page, its tables, its truth."""

from __future__ import annotations

from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from firmly_nb.sim.answers import ApiError, calls, json_answer
from firmly_nb.sim.behaviour import ACTS, FAULTS, PROFILES
from firmly_nb.sim.merchants import TRAITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.requests import Request

    from firmly_nb.sim.world import World


async def page(request: Request) -> Response:
    """Show merchants, routes, faults and recent orders to a person."""
    world: World = request.app.state.world
    return HTMLResponse(render_page(world), headers={"content-security-policy": CSP})


async def openapi(request: Request) -> Response:
    """Return the OpenAPI document."""
    from firmly_nb.sim.openapi import build_openapi

    del request
    return json_answer(build_openapi())


async def faults(request: Request) -> Response:
    """Return the table of faults."""
    del request
    return json_answer(_table(FAULTS))


async def profiles(request: Request) -> Response:
    """Return all latency profiles with their distributions."""
    del request
    return json_answer(_table(PROFILES))


async def merchants(request: Request) -> Response:
    """Return all merchants with their traits."""
    world: World = request.app.state.world
    shops = [
        {
            "domain": shop.domain,
            "display_name": shop.display_name,
            "platform_id": shop.platform_id,
            "character": shop.character,
            "currency": shop.currency,
            "countries": sorted(shop.countries),
            "profile": shop.profile or world.settings.profile,
            "traits": {name: TRAITS[name] for name in sorted(shop.traits)},
            "promo_codes": dict(shop.promo_codes),
            "variants": len(shop.variants),
        }
        for shop in world.merchants.values()
    ]
    return json_answer(shops)


async def truth(request: Request) -> Response:
    """Return the truth log's last entries; ``?order=100004711`` those of one order."""
    world: World = request.app.state.world
    order = request.query_params.get("order")
    kept = [one for one in world.truth.recent if order in {None, str(one["order"])}]
    return json_answer(kept)


def _of_this_origin(request: Request) -> World:
    """Return the world, to be changed; not by a page of anybody's, which needs no answer to do so.

    A browser names the origin of whoever sends a POST. What is no browser names none.
    """
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise ApiError("Forbidden", "a page of another origin cannot change the simulator")
    world: World = request.app.state.world
    return world


async def rotate_key(request: Request) -> Response:
    """Put a new card key in place; the one before it stays valid."""
    world = _of_this_origin(request)
    return json_answer({"kid": await world.rotate_key()})


async def revoke_tokens(request: Request) -> Response:
    """Refuse every device token from now on."""
    _of_this_origin(request).tokens.revoke()
    return json_answer({"revoked": True})


def _table(known: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, **asdict(one)} for name, one in known.items()]


CSP = "default-src 'none'; style-src 'unsafe-inline'"
ROUTES = [
    Route("/", page, methods=["GET"]),
    Route("/openapi.json", openapi, methods=["GET"]),
    Route("/sim/faults", faults, methods=["GET"]),
    Route("/sim/profiles", profiles, methods=["GET"]),
    Route("/sim/merchants", merchants, methods=["GET"]),
    Route("/sim/truth", truth, methods=["GET"]),
    Route("/sim/rotate-key", rotate_key, methods=["POST"]),
    Route("/sim/revoke-tokens", revoke_tokens, methods=["POST"]),
]


STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: .9rem }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0;
  border-bottom: 1px solid #ddd }
td:first-child { white-space: nowrap }
code { font-size: .85rem } .quiet { color: #666 }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #1b1b1b }
  th, td { border-color: #444 } .quiet { color: #999 } }
"""


def render_page(world: World) -> str:
    """Return the page."""
    settings = world.settings
    return "".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>firmly simulator</title>',
            f"<style>{STYLE}</style><h1>A simulator of firmly's API</h1>",
            f"<p>Profile <b>{escape(settings.profile)}</b>, seed <b>{settings.seed}</b>, ",
            f"{world.n_orders} orders so far. Nothing here is real. Nothing leaves this machine. ",
            'The <a href="/openapi.json">OpenAPI document</a> has every field. ',
            "Merchants, faults and profiles: docs/simulator.md. How surely each part is ",
            "known: docs/firmly-api.md#how-sure-a-statement-is.</p>",
            _repeats(world),
            "<h2>Recent orders</h2>",
            _recent(world),
            "<h2>Merchants</h2>",
            _merchants(world),
            "<h2>Routes</h2>",
            _routes(),
            "<h2>Faults</h2><p>Choose one with the header <code>x-sim-fault: NAME</code>, with an ",
            "item whose variant id is <code>FAULT-NAME</code>, or for the whole server with ",
            "<code>--fault NAME</code>. A client should report this outcome, and this answer to ",
            "whether the order exists.</p>",
            _faults(),
            "<h2>Latency profiles</h2><p>Choose one with the header ",
            "<code>x-sim-profile: NAME</code>, or for the whole server with ",
            "<code>--profile NAME</code>.</p>",
            _html_table(
                ["profile", "meaning"], ((name, one.meaning) for name, one in PROFILES.items())
            ),
        ]
    )


def _recent(world: World) -> str:
    if not world.recent:
        return '<p class="quiet">None yet: place an order to see it here.</p>'
    names = ["order", "domain", "mode", "profile", "fault", "error", "order_number"]
    rows = ([one[name] for name in names] for one in reversed(world.recent))
    return _html_table(names, rows)


def _repeats(world: World) -> str:
    """Return what a client ordered twice; nothing if none did."""
    if not world.repeats:
        return ""
    names = ["order", "repeats", "repeats_by", "request_id", "domain", "mode"]
    rows = ([one[name] for name in names] for one in reversed(world.repeats))
    return (
        "<h2>Ordered twice</h2><p>A client sent the same request again, and that is a second "
        "order. Each order needs a card that is encrypted anew and a request id of its own.</p>"
        + _html_table(names, rows)
    )


def _merchants(world: World) -> str:
    rows = (
        (shop.domain, shop.platform_id, len(shop.variants), shop.character, _example(shop.variants))
        for shop in world.merchants.values()
    )
    return _html_table(["domain", "platform", "variants", "character", "for example"], rows)


def _example(variants: Iterable[str]) -> str:
    return next(iter(variants), "")


def _routes() -> str:
    rows: dict[str, tuple[list[str], str, str]] = {}
    for endpoint, method, path, mark in calls():
        methods, *_ = rows.setdefault(f"{path} {endpoint['id']}", ([], endpoint["summary"], mark))
        methods.append(method)
    return _html_table(
        ["method", "path", "response", "path is known as"],
        (
            (", ".join(methods), key.split()[0], summary, mark)
            for key, (methods, summary, mark) in rows.items()
        ),
    )


def _faults() -> str:
    rows = (
        (name, one.what, ACTS[one.acts], one.outcome, one.order_exists, one.plain)
        for name, one in FAULTS.items()
    )
    head = ["fault", "what happens", "where", "outcome", "order exists", "without SSE"]
    return _html_table(head, rows)


def _html_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    def row(cells: Sequence[object], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}" for cell in cells)

    return "<table>" + row(head, "th") + "".join(row(cells, "td") for cells in rows) + "</table>"
