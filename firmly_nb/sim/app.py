"""The application: all routes, and errors in the API's form whatever happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Match, Route

from firmly_nb.sim import (
    cart_routes,
    catalog_routes,
    device_routes,
    own_routes,
    payment_routes,
    session_routes,
    simple_cart_routes,
)
from firmly_nb.sim.access_log import AccessLog
from firmly_nb.sim.answers import ApiError, error_answer

if TYPE_CHECKING:
    from starlette.responses import Response

    from firmly_nb.sim.world import World


# Permissive, as was seen of the real API (section 9).
ANY_ORIGIN = Middleware(
    CORSMiddleware,
    allow_origins=["*"],
    allow_methods=["*"],
    allow_headers=["*"],
    expose_headers=["x-firmly-kid", "retry-after"],
)


def build_app(world: World) -> Starlette:
    """Return the application that serves a world."""
    api_routes = [
        *session_routes.ROUTES,
        *payment_routes.ROUTES,
        *cart_routes.ROUTES,
        *simple_cart_routes.ROUTES,
        *device_routes.ROUTES,
        *catalog_routes.ROUTES,
    ]
    app = Starlette(
        routes=[*api_routes, *own_routes.ROUTES],
        middleware=[*([Middleware(AccessLog)] if world.settings.access_log else []), ANY_ORIGIN],
        exception_handlers={
            ApiError: _api_error,
            HTTPException: _http_error,
            ClientDisconnect: _nobody_there,
            Exception: _own_error,
        },
    )
    app.router.redirect_slashes = False
    app.state.world = world
    app.state.api_routes = api_routes
    return app


def _answer(request: Request, error: ApiError) -> Response:
    world: World = request.app.state.world
    return error_answer(error, world.settings)


async def _api_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return _answer(request, error)


async def _http_error(request: Request, error: Exception) -> Response:
    """Answer what no route answers (``RouteNotFound``, section 7.2)."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        allowed = {"allow": ", ".join(_methods(request))}
        refused = ApiError("MethodNotAllowed", "this path has no such method", headers=allowed)
        return _answer(request, refused)
    return _answer(request, ApiError("RouteNotFound", "there is no such route"))


def _methods(request: Request) -> list[str]:
    """Return what a path allows; several routes may share it."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    fitting = [one for one in routes if one.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for one in fitting for method in one.methods or ()})


async def _nobody_there(request: Request, error: Exception) -> Response:
    """End the handling of a request whose sender went away before it was complete."""
    del error
    return _answer(request, ApiError("ErrorInvalidInputBody", "the request was not completed"))


async def _own_error(request: Request, error: Exception) -> Response:
    """Answer a mistake of the simulator's own; uvicorn logs where it happened."""
    del error
    return _answer(request, ApiError("InternalError", "the simulator made a mistake; see its log"))
