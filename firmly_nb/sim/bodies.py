"""Requests, each stated once: pydantic models check them, name the mistake and document them.

An error names the field, never its value, which may be a secret. ``/openapi.json`` is made from the
same models.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, cast

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from firmly_nb.sim.answers import ERRORS, ApiError, invalid
from firmly_nb.sim.keys import LONGEST_JWE
from firmly_nb.sim.merchants import COUNTRIES, country_code, find_region

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pydantic import GetCoreSchemaHandler
    from pydantic_core import ErrorDetails
    from starlette.requests import Request
    from starlette.responses import Response

    from firmly_nb.sim.world import World

    Handler = Callable[..., Awaitable[Response]]


LONGEST_TEXT = 500
MOST_ITEMS = 250  # each event has the whole cart, so the stream grows with the square
MOST_PIECES = 1_000_000
LARGEST_BODY = 1 << 20
# So much of a body that is too large is read nevertheless, so that its sender reads the answer.
MOST_DRAINED = 16 << 20
HANG_UP = {"connection": "close"}
POSTAL_CODES = {"US": r"[0-9]{5}(-[0-9]{4})?", "CA": r"[A-Za-z][0-9][A-Za-z] ?[0-9][A-Za-z][0-9]"}
# Words for a violation, by pydantic's name for it; others bring their words and the API's name.
INVALID = "ErrorInvalidInputBody"
WORDS = {
    "string_type": "must be a non-empty string",
    "string_too_short": "must be a non-empty string",
    "string_pattern_mismatch": "must be a non-empty string",
    "string_too_long": "must have at most {max_length} characters",
    "bool_type": "must be true or false",
}


class Must:
    """Limits of a value, and the words for every value beyond them.

    Parameters
    ----------
    words
        The description of the error; without it :data:`WORDS` has one for each kind.
    error
        The API's name for it.
    **limits
        As pydantic's core schemas name them.
    """

    def __init__(self, words: str = "", error: str = INVALID, **limits: Any) -> None:
        self._words = words
        self._error = error
        self._limits = limits

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return the schema of the value, with the limits in it."""
        schema: Any = {**handler(source), **self._limits}
        if self._words:
            schema = core_schema.custom_error_schema(
                schema, self._error, custom_error_message=self._words
            )
        return cast("core_schema.CoreSchema", schema)


def between(least: int, most: int, error: str = INVALID) -> Must:
    """Return the limits of a whole number."""
    return Must(f"must be {least} to {most}", error, ge=least, le=most, strict=True)


@dataclass(frozen=True, slots=True)
class Listed:
    """Limits of a list's length."""

    least: int
    most: int
    noun: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return the schema of the list; a wrong length is found before a wrong element."""
        schema: Any = {**handler(source), "min_length": self.least, "max_length": self.most}
        return core_schema.no_info_before_validator_function(self._check, schema)

    def _check(self, value: Any) -> Any:
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            bounds = f"{self.least} to" if self.least else "at most"
            raise refuse(f"must be a list of {bounds} {self.most} {self.noun}")
        return value


def refuse(words: str, error: str = INVALID) -> PydanticCustomError:
    """Return an error of a value, by the API's name."""
    return PydanticCustomError(error, "{words}", {"words": words})


def _filled(value: str) -> str:
    value = value.strip()
    if not value:  # a control character that only Python takes for white space
        raise refuse("must be a non-empty string")
    return value


def _whole(value: Any) -> Any:
    """Return a whole number; JSON has one number type, so 2.0 is one."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise refuse("must be a whole number")
    return value


def _digits(value: Any) -> Any:
    """Return the number of a query or path; anything else as it is, to be refused."""
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,8}", value) else value


def _country(value: str) -> str:
    code = country_code(value)
    if code is None:
        raise refuse(f"must be one of {', '.join(COUNTRIES)}", "ErrorCountryNotSupported")
    return code


def _day(value: str) -> str:
    try:
        return dt.date.fromisoformat(value).isoformat()
    except ValueError:
        raise refuse("must be a day as YYYY-MM-DD") from None


def _text(longest: int) -> Must:
    return Must(min_length=1, max_length=longest, pattern=r"\S")


Filled = Annotated[str, _text(LONGEST_TEXT), AfterValidator(_filled)]
Captcha = Annotated[str, _text(4_096), AfterValidator(_filled)]
Url = Annotated[str, _text(2_000), AfterValidator(_filled)]
Text = Annotated[
    str,
    Must(f"must be a string of at most {LONGEST_TEXT} characters", max_length=LONGEST_TEXT),
    AfterValidator(str.strip),
]
Email = Annotated[
    str,
    Must(
        "must be an e-mail address",
        max_length=LONGEST_TEXT,
        pattern=r"^\s*[^@\s]+@[^@\s]+\.[^@\s]+\s*$",
    ),
    AfterValidator(str.strip),
]
# As in the schema; other spellings of a country's name are understood as well.
Country = Annotated[
    Filled,
    AfterValidator(_country),
    WithJsonSchema({"type": "string", "enum": [*COUNTRIES, *COUNTRIES.values()]}),
]
Day = Annotated[Filled, AfterValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Pieces = Annotated[int, between(1, MOST_PIECES), BeforeValidator(_whole)]
PiecesLeft = Annotated[int, between(0, MOST_PIECES), BeforeValidator(_whole)]
Handles = Annotated[list[Filled], Listed(0, 100, "strings")]
Jwe = Annotated[str, Must("must be a compact JWE", max_length=LONGEST_JWE)]
PostalCode = Annotated[
    str,
    Must(
        "must be a postal code",
        "ValidationError",
        pattern=r"^\s*[A-Za-z0-9][A-Za-z0-9 -]{1,8}[A-Za-z0-9]\s*$",
    ),
    AfterValidator(str.strip),
]
Flag = Annotated[Literal["true", "false"], Must("must be true or false")]
Page = Annotated[
    int,
    Must("must be a number from 1 on", ge=1, le=10_000, strict=True),
    BeforeValidator(_digits),
]
PageSize = Annotated[
    Literal[100, 500, 1000, 2000],
    Must("must be one of 100, 500, 1000, 2000"),
    BeforeValidator(_digits),
]
KeyFormat = Annotated[
    Literal["JWK", "PEM", "RSA"], Must("must be JWK, PEM or RSA"), BeforeValidator(str.upper)
]


class Body(BaseModel):
    """An object in a request's body; fields that it does not know are ignored."""

    model_config = ConfigDict(hide_input_in_errors=True, defer_build=True)
    # Words for a value that is not an object, and the API's name for that.
    no_object: ClassVar[str] = "must be an object"
    error: ClassVar[str] = INVALID

    @model_validator(mode="before")
    @classmethod
    def _absent_is_null(cls, value: Any) -> Any:
        """Refuse an absent field in the words for its kind."""
        if not isinstance(value, dict):
            raise refuse(cls.no_object, cls.error)
        needed = (name for name, known in cls.model_fields.items() if known.is_required())
        return {**dict.fromkeys(needed), **value}

    def given(self) -> dict[str, Any]:
        """Return the fields that were given, as JSON has them."""
        return self.model_dump(exclude_none=True)


class SimpleAddress(Body):
    """An address of a cart in v1, where the phone is optional."""

    # The API's name for a state that is none of the country, as the pages of carts have it.
    unknown_state: ClassVar[str] = "ErrorInvalidState"
    first_name: Filled
    last_name: Filled
    email: Email
    phone: Text | None = None
    address1: Filled
    city: Filled
    country: Country
    state_or_province: Filled
    postal_code: Filled
    address2: Text | None = None
    company: Text | None = None

    @field_validator("postal_code")
    @classmethod
    def _is_of_its_country(cls, value: str, info: ValidationInfo) -> str:
        country = info.data.get("country")
        pattern = POSTAL_CODES.get(country or "", r"[A-Za-z0-9 -]{2,12}")
        if country and not re.fullmatch(pattern, value):
            raise refuse(f"must be a postal code of {country}")
        return value

    @field_validator("state_or_province")
    @classmethod
    def _is_a_state(cls, value: str, info: ValidationInfo) -> str:
        country = info.data.get("country")
        if country and find_region(country, value) is None:
            raise refuse(f"must be a state of {country}", cls.unknown_state)
        return value


class CartAddress(SimpleAddress):
    """An address of a cart in v2."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "first_name": "Ada",
                    "last_name": "Example",
                    "email": "ada@example.test",
                    "phone": "2065550100",
                    "address1": "10 Sample Way",
                    "city": "Seattle",
                    "state_or_province": "WA",
                    "country": "US",
                    "postal_code": "98101",
                }
            ]
        }
    )
    phone: Filled


class Address(CartAddress):
    """An address of a payment."""

    unknown_state = INVALID


class Reference(Body):
    """An ``add_to_cart_ref``: the variant that is meant."""

    no_object = "must be an object with a variant_id"
    variant_id: Filled
    product_id: Filled | None = None
    variant_handles: Handles | None = None


class Item(Body):
    """Pieces of a variant."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"add_to_cart_ref": {"variant_id": "WS12-XS-Orange"}, "quantity": 1}]
        }
    )
    add_to_cart_ref: Reference
    quantity: Pieces

    def pair(self) -> tuple[dict[str, Any], int]:
        """Return the reference and the quantity."""
        return self.add_to_cart_ref.given(), self.quantity


class SimpleItem(Reference):
    """Pieces of a variant in v1, where the item is the reference itself (guessed)."""

    quantity: Pieces

    def pair(self) -> tuple[dict[str, Any], int]:
        """Return the reference and the quantity."""
        return self.model_dump(exclude_none=True, exclude={"quantity"}), self.quantity


class CompleteOrder(Body):
    """Payment for the device's cart."""

    billing_info: Address
    captcha_token: Captcha | None = None
    encrypted_card: Jwe


class PlaceOrder(CompleteOrder):
    """An order, complete in itself."""

    items: Annotated[list[Item], Listed(1, MOST_ITEMS, "items")]
    shipping_info: Address


class SimplePlaceOrder(CompleteOrder):
    """An order in v1."""

    items: Annotated[list[SimpleItem], Listed(1, MOST_ITEMS, "items")]
    shipping_info: Address


class Renewal(Body):
    """A token to renew; any other value is ``InvalidJWTToken``."""

    access_token: Annotated[Any, WithJsonSchema({"type": ["string", "null"]})] = None


class NewQuantity(Body):
    """A line's new quantity; 0 removes it."""

    quantity: PiecesLeft


class SimpleNewQuantity(NewQuantity):
    """A line's new quantity in v1."""

    variant_handles: Handles | None = None


class SimpleHandles(Body):
    """Handles of the variant that is meant."""

    variant_handles: Handles | None = None


class OfShipment(Body):
    """The shipment that is meant."""

    shipment_id: Filled


class ShippingMethod(OfShipment):
    """Shipping method of a shipment."""

    shipping_method_id: Filled
    notes: Filled | None = None
    selected_date: Day | None = None


class SimpleShippingMethod(Body):
    """Shipping method of the cart."""

    shipping_method: Filled


class FulfillmentType(OfShipment):
    """Fulfillment type of a shipment."""

    fulfillment_type: Filled
    location_id: Filled | None = None


class PromoCodes(Body):
    """Promo codes to apply."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"promo_codes": ["LUMA10"]}]})
    promo_codes: Annotated[list[Filled], Listed(1, 10, "strings")]


class NewPostalCode(Body):
    """The device's postal code."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"postal_code": "98101"}]})
    postal_code: PostalCode


BAD_SEARCH = "InvalidRequest"


class Options(Body):
    """An option that variants have, and the values that are wanted."""

    error = BAD_SEARCH
    option: Filled
    values: Handles


class Filters(Body):
    """Filters of a search; prices in cents."""

    error = BAD_SEARCH
    domains: Handles | None = None
    min_price: PiecesLeft | None = None
    max_price: PiecesLeft | None = None
    in_stock: Annotated[bool, Must("must be true or false", BAD_SEARCH, strict=True)] = False
    variants: Annotated[list[Options], Listed(0, 20, "options")] | None = None


class Search(Body):
    """Words to search for, and filters."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"query": "hoodie", "page_size": 5}]})
    query: Filled
    page_size: Annotated[int, between(1, 100, BAD_SEARCH), BeforeValidator(_whole)] = 20
    filters: Filters | None = None


class Parameters(BaseModel):
    """Parameters of a path and its query."""

    model_config = ConfigDict(hide_input_in_errors=True, defer_build=True)


class Streamed(Parameters):
    """Choice of a stream of events; any value but ``true`` is read as ``false``."""

    sse: Annotated[str, WithJsonSchema({"enum": ["true", "false"]})] = "false"


class Flush(Parameters):
    """Choice to clear the cart first."""

    flush_cart: Flag = "false"


class FastMode(Parameters):
    """A SKU, and a mode that no page describes and that changes nothing."""

    sku: Filled
    fast_mode: Flag = "false"


class AddItem(FastMode, Flush):
    """A SKU and its quantity."""

    quantity: Annotated[int, between(1, MOST_PIECES), BeforeValidator(_digits)]


class KeyForm(Parameters):
    """Form of the public key."""

    format: KeyFormat = "JWK"


class Excludes(Parameters):
    """Merchants to leave out, separated by commas."""

    excludes: str = ""


class ProductPages(Parameters):
    """Page of the products."""

    page: Page = 1
    size: PageSize = 2000


class SearchPages(Parameters):
    """Page of the products found."""

    page: Page = 1


class Nearby(Parameters):
    """Postal code of the buyer, which changes nothing."""

    postal_code: str = ""


class ProductUrl(Nearby):
    """A merchant's page of a product."""

    url: Url


async def read_body(request: Request, largest: int = LARGEST_BODY) -> bytes:
    """Read a request's body, up to a size; a larger one is refused."""
    world: World = request.app.state.world
    parts = bytearray()
    size = 0
    try:
        async with asyncio.timeout(world.settings.patience_s):
            async for part in request.stream():
                size += len(part)
                if size <= largest:
                    parts += part
                elif size > MOST_DRAINED:
                    break
    except TimeoutError:
        raise invalid("the body did not arrive in time", 408, HANG_UP) from None
    if size > largest:
        raise invalid(f"the body is larger than {largest} bytes", 413, HANG_UP)
    return bytes(parts)


async def read_object(request: Request) -> dict[str, Any]:
    """Read a request's body as a JSON object.

    Raises
    ------
    ApiError
        ``ErrorInvalidInputBody``, if the content type is another, the body no JSON or no object.
    """
    body = await read_body(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise invalid("Content-Type must be application/json")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid(f"the body is not JSON (line {error.lineno}, column {error.colno})") from None
    if not isinstance(value, dict):
        raise invalid("the body must be a JSON object")
    return value


def _is_absent(request: Request) -> bool:
    length = request.headers.get("content-length", "0")
    return length == "0" and "transfer-encoding" not in request.headers


Model = TypeVar("Model", bound=BaseModel)


def checked(model: type[Model], value: Any, where: str = "") -> Model:
    """Return a part of a request, checked.

    Parameters
    ----------
    where
        Name of the object that errors put before the names of its fields.

    Raises
    ------
    ApiError
        The first mistake, with the name of its field.

    Examples
    --------
    >>> checked(NewQuantity, {"quantity": 2.0}).quantity
    2
    >>> checked(NewQuantity, {"quantity": -1})
    Traceback (most recent call last):
    ...
    firmly_nb.sim.answers.ApiError: ('ErrorInvalidInputBody', 'quantity: must be 0 to 1000000')
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False, include_input=False)[0], where) from None


def _refusal(first: ErrorDetails, where: str) -> ApiError:
    kind, limits = first["type"], first.get("ctx", {})
    words = WORDS[kind].format(**limits) if kind in WORDS else first["msg"]
    place = where
    for part in first["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}"
    return ApiError(kind if kind in ERRORS else INVALID, f"{place.removeprefix('.')}: {words}")


@dataclass(frozen=True, slots=True)
class Operation:
    """A function that answers requests, and what it needs.

    Attributes
    ----------
    answer
        Checks a request, and answers it.
    gives
        The schema of its response, by name.
    body, simple
        The body in v2, and in v1 if it is another.
    optional
        Whether the body may be absent.
    parameters
        Of the path, except for the merchant, and of the query.
    auth
        Whether it needs a device token.
    headers
        Further headers, and whether they are needed.
    details
        Description of what only the simulator has.
    """

    answer: Callable[[Request], Awaitable[Response]]
    gives: str
    body: type[Body] | None = None
    simple: type[Body] | None = None
    optional: bool = False
    parameters: type[Parameters] | None = None
    auth: bool = True
    headers: Mapping[str, bool] = field(default_factory=dict)
    details: str = ""

    def body_of(self, version: int) -> type[Body] | None:
        """Return the body in a version of the API."""
        return self.simple if version == 1 and self.simple else self.body


# By the endpoint's id in the API's description; filled by :func:`answers`.
OPERATIONS: dict[str, Operation] = {}


def answers(
    gives: str,
    body: type[Body] | None = None,
    parameters: type[Parameters] | None = None,
    *,
    where: str = "",
    **more: Any,
) -> Callable[[Handler], Handler]:
    """Let a function answer the endpoint of its name.

    It is called with the request, and with the checked body and parameters if it takes them.
    ``where`` is the body's name in errors; see :class:`Operation` for the others.
    """

    def register(handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            if operation.auth:
                world: World = request.app.state.world
                request.state.device_id = world.device(request).device_id
            given: list[BaseModel] = []
            wanted = operation.body_of(version_of(request))
            if wanted:
                absent = operation.optional and _is_absent(request)
                given.append(checked(wanted, {} if absent else await read_object(request), where))
            if parameters:
                asked = {**request.query_params, **request.path_params}
                given.append(checked(parameters, asked))
            return await handler(request, *given)

        details = inspect.cleandoc(handler.__doc__ or "").partition("\n")[2].strip()
        operation = Operation(answer, gives, body, parameters=parameters, details=details, **more)
        OPERATIONS[handler.__name__] = operation
        return handler

    return register


def build_models() -> None:
    """Build the checks of requests, some 30 ms, so that no order waits for them."""
    for one in OPERATIONS.values():
        for model in (one.body, one.simple, one.parameters):
            if model:
                model.model_rebuild()


def version_of(request: Request) -> int:
    """Return the version of the API that a path belongs to, 1 or 2: the form of the cart."""
    return 1 if request.url.path.startswith("/api/v1/") else 2
