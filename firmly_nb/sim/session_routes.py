"""Routes of the browser session: from an app id to a device token."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.routing import Route

from firmly_nb.sim import validation
from firmly_nb.sim.answers import ApiError, invalid, json_answer
from firmly_nb.sim.tokens import new_device

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from firmly_nb.sim.world import World

LIFETIME_LIMIT_S = 400 * 24 * 3600


async def browser_session(request: Request) -> Response:
    """Browser Session (firmly-api.md, section 2.1).

    Documented: header ``x-firmly-app-id``; no body for a new device, ``{"access_token": ...}`` to
    renew until a week after expiry; the answer's fields. Inferred: a renewed session keeps its
    device and says ``device_created: false``; a token that is none gives ``InvalidJWTToken``. The
    simulator's own header ``x-sim-token-lifetime`` sets the lifetime in seconds (negative: already
    expired).
    """
    world: World = request.app.state.world
    if request.headers.get("x-firmly-app-id") != world.app_id:
        raise _with_message("InvalidAppId", "the app id is missing or unknown")
    body = await validation.read_optional_object(request)
    renewing = body.get("access_token") is not None
    try:
        device_id = world.tokens.renew(body["access_token"]) if renewing else new_device()
    except ApiError as error:
        raise _with_message(error.error, error.description) from None
    lifetime_s = _lifetime(request, world.settings.token_lifetime_s)
    token, claims = await asyncio.to_thread(world.tokens.issue, device_id, lifetime_s)
    return json_answer(
        {
            "device_created": not renewing,
            "access_token": token,
            "expires_in": lifetime_s,
            "expires": claims.expires,
            "device_id": device_id,
        }
    )


def _lifetime(request: Request, default: int) -> int:
    asked = request.headers.get("x-sim-token-lifetime")
    if asked is None:
        return default
    try:
        seconds = int(asked)
    except ValueError:
        raise invalid("x-sim-token-lifetime: must be whole seconds") from None
    if abs(seconds) > LIFETIME_LIMIT_S:
        raise invalid("x-sim-token-lifetime: is too far away")
    return seconds


def _with_message(error: str, description: str) -> ApiError:
    """Return an error in the shape of the authentication pages."""
    made = ApiError(error, description)
    made.auth_page = True
    return made


ROUTES = [Route("/api/v1/browser-session", browser_session, methods=["POST"])]
