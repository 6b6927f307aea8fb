"""What the API answers with: JSON, and errors in the API's own names, shapes and statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmly_nb.sim.settings import Settings


# The error-codes page. Where it shows no status, the default is inferred.
STATUSES = {
    "InvalidAppId": 400,
    "TokenExpired": 401,
    "MissingAuthHeader": 401,
    "InvalidJWTToken": 401,
    "InvalidAPIToken": 401,
    "BadRequest": 400,
    "Forbidden": 403,
    "ErrorInvalidInputBody": 400,
    "ValidationError": 400,
    "InvalidRequest": 400,
    "ErrorCartNotFound": 404,
    "ErrorNoLineItem": 422,
    "ErrorLineItemNotFound": 404,  # inferred: the page's copy shows the status, not the name
    "ErrorProductNotFound": 404,
    "ErrorNotEnoughStock": 400,
    "ErrorInvalidPromoCode": 400,
    "ErrorPromoNotAvailable": 422,
    "ErrorClearPromoCodeNotAllowed": 422,
    "ErrorCountryNotSupported": 400,
    "ErrorInvalidState": 400,  # inferred
    "ErrorShipmentNotFound": 404,
    "ErrorAddonNotFound": 404,
    "ErrorMissingRequiredParameters": 400,  # inferred
    "ErrorPaymentDeclined": 422,  # inferred
    "ErrorStoreUnavailable": 503,
    "AllProductsNotImplemented": 404,
    "RateLimitExceeded": 429,
    "ServiceUnavailable": 503,
    "RouteNotFound": 404,
    "MethodNotAllowed": 405,  # inferred
    "InternalError": 500,  # inferred: no page names a 500
}
# What the endpoint pages have where the error-codes page says otherwise.
ENDPOINT_STATUSES = {
    "ErrorNotEnoughStock": 422,
    "ErrorInvalidPromoCode": 422,
    "ErrorStoreUnavailable": 500,
}
# Pages that show ``{error, message}`` instead of ``{code, error, description}``.
MESSAGE_SHAPED = frozenset({"InvalidAppId", "BadRequest", "InvalidAPIToken"})


class ApiError(Exception):
    """An error to be answered in the API's form.

    Parameters
    ----------
    error
        The API's name for it.
    description
        What is wrong and where; never the value, which may be a secret.
    status
        Only where it is not the one of :data:`STATUSES`.
    headers
        Further headers of the answer.
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
        self.auth_page = error in MESSAGE_SHAPED


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
    if settings.statuses == "endpoint" and error.error in ENDPOINT_STATUSES:
        return ENDPOINT_STATUSES[error.error]
    return STATUSES[error.error]


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
    """Return a JSON answer."""
    return Response(orjson.dumps(value), status, dict(headers or {}), media_type="application/json")


def error_answer(error: ApiError, settings: Settings) -> Response:
    """Return the answer for an error."""
    return json_answer(error_body(error, settings), status_of(error, settings), error.headers)
