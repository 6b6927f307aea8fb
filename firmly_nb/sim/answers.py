"""Responses of the API: JSON, and errors in the API's own names, shapes and statuses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from firmly_nb.sim.settings import Settings


# The API's description: endpoints, errors, events, and how surely each is known.
API: dict[str, Any] = orjson.loads(
    (Path(__file__).parents[1] / "api_description.json").read_bytes()
)
ERRORS: Mapping[str, dict[str, Any]] = {one["name"]: one for one in API["errors"]}
ERROR_CODES = "error-codes"


def calls() -> Iterator[tuple[dict[str, Any], str, str, str]]:
    """Yield each call that is served: endpoint, method, path, and the mark of the path."""
    for endpoint in API["endpoints"]:
        if endpoint["id"]:
            for call, mark in endpoint["calls"].items():
                method, path = call.split()
                yield endpoint, method, path, mark


class ApiError(Exception):
    """An error that becomes a response in the API's form.

    Parameters
    ----------
    error
        The API's name for it.
    description
        The mistake and its place; never the value, which may be a secret.
    status
        Only where it is not the one that the API's description lists.
    headers
        Further headers of the response.
    """

    def __init__(
        self,
        error: str,
        description: str,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(error, description)
        self.error = error
        self.description = description
        self.status = status
        self.headers = dict(headers or {})
        self.auth_page = ERRORS[error].get("shape") == "message"


def invalid(
    description: str, status: int | None = None, headers: Mapping[str, str] | None = None
) -> ApiError:
    """Return the error for a request that does not pass validation."""
    return ApiError("ErrorInvalidInputBody", description, status, headers)


def status_of(error: ApiError, settings: Settings) -> int:
    """Return the HTTP status of an error.

    Examples
    --------
    >>> from firmly_nb.sim import Settings
    >>> status_of(ApiError("ErrorNotEnoughStock", ""), Settings())
    400
    >>> status_of(ApiError("ErrorNotEnoughStock", ""), Settings(statuses="endpoint"))
    422
    """
    if error.status is not None:
        return error.status
    listed = ERRORS[error.error]["statuses"]
    by_list = settings.statuses == ERROR_CODES
    fitting = (one for one in listed if (ERROR_CODES in one["pages"]) == by_list)
    return int(next(fitting, listed[0])["status"])


def error_body(error: ApiError, settings: Settings) -> dict[str, Any]:
    """Return the body of an error: the page's own shape, or the one that the settings ask for.

    Examples
    --------
    >>> from firmly_nb.sim import Settings
    >>> error_body(ApiError("InvalidAppId", "unknown"), Settings())
    {'error': 'InvalidAppId', 'message': 'unknown'}
    >>> error_body(ApiError("ErrorProductNotFound", "no such variant"), Settings())
    {'code': 404, 'error': 'ErrorProductNotFound', 'description': 'no such variant'}
    """
    with_message = {"error": error.error, "message": error.description}
    if settings.error_shape == "message":
        return with_message
    if settings.error_shape == "documented" and error.auth_page:
        return with_message
    code = status_of(error, settings)
    return {"code": code, "error": error.error, "description": error.description}


def error_event(error: ApiError, settings: Settings) -> dict[str, Any]:
    """Return the data of an ``error`` event; firmly's pages do not describe it.

    Examples
    --------
    >>> from firmly_nb.sim import Settings
    >>> declined = ApiError("ErrorPaymentDeclined", "declined")
    >>> error_event(declined, Settings(error_event="nested"))
    {'error': {'code': 422, 'error': 'ErrorPaymentDeclined', 'description': 'declined'}}
    """
    code = status_of(error, settings)
    flat = {"code": code, "error": error.error, "description": error.description}
    shapes: dict[str, dict[str, Any]] = {
        "flat": flat,
        "nested": {"error": flat},
        "message": {"error": error.error, "message": error.description},
        "string": {"error": f"{error.error}: {error.description}"},
    }
    return shapes[settings.error_event]


def json_answer(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON response."""
    return Response(orjson.dumps(value), status, dict(headers or {}), media_type="application/json")


def error_answer(error: ApiError, settings: Settings) -> Response:
    """Return the response for an error."""
    return json_answer(error_body(error, settings), status_of(error, settings), error.headers)
