"""The API's description has the form that its readers rely on, and keeps what pages contradict."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

import firmly_nb
from firmly_nb.api import errors
from firmly_nb.api.description import API
from firmly_nb.api.event_names import ERROR, GUIDE, REFERENCE
from firmly_nb.sim import answers, openapi
from firmly_nb.sim.bodies import OPERATIONS
from firmly_nb.sim.cart import Confirmation, add_line, bill_to, new_cart, ship_to
from firmly_nb.sim.cart_forms import FORMS
from firmly_nb.sim.keys import PaymentSummary
from firmly_nb.sim.merchants import merchants
from firmly_nb.sim.settings import Settings

FILE = Path(firmly_nb.__file__).parent / "api_description.json"
Mark = Literal["documented", "example", "code", "guessed", "simulator"]
Sentence = Annotated[str, StringConstraints(pattern=r"\S.*[.]$")]
Call = Annotated[str, StringConstraints(pattern=r"^(GET|POST|PUT|DELETE) /api/v[12]/[\w/{}-]+$")]
Status = Annotated[int, Field(ge=400, le=599)]


class Part(BaseModel):
    """A part of the file; what no reader knows is not in it."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Endpoint(Part):
    id: str | None
    name: str
    section: str
    host: Literal["api", "card"]
    pages: list[str]
    summary: Sentence
    gives: str | None = None
    many: bool = False
    types: list[str] = []
    calls: dict[Call, Mark] = Field(min_length=1)
    errors: list[str] = []
    known: dict[Mark, Annotated[list[Sentence], Field(min_length=1)]] = {}


class Listed(Part):
    status: Status
    mark: Mark
    pages: list[str]


class Error(Part):
    name: str
    mark: Mark
    kind: str | None
    shape: Literal["message"] | None = None
    statuses: list[Listed] = Field(min_length=1)


class Event(Part):
    name: str
    data: Literal["cart", "order"] | None
    own: Literal["cart"] | None = None
    stage: str | None = None
    mark: Mark
    note: str


class Vocabulary(Part):
    pages: list[str]
    names: list[Event]


class ErrorEvent(Part):
    name: str
    mark: Mark
    note: str


class Events(Part):
    reference: Vocabulary
    guide: Vocabulary
    error: ErrorEvent


class Known(Part):
    name: str
    type: Literal["string", "number", "boolean", "object", "array", "money"]
    versions: list[Literal[1, 2]] = Field(alias="in", min_length=1)
    mark: Mark
    optional: bool = False
    or_null: bool = False
    note: str = ""
    of: str | None = None
    values: list[str] | None = None


class Header(Part):
    name: Annotated[str, StringConstraints(pattern=r"^[a-z-]+$")]
    calls: list[str]
    mark: Mark
    optional: bool = False
    note: str = ""


class Description(Part):
    about: list[Sentence]
    marks: dict[Mark, str]
    site: str
    pages: dict[str, Annotated[str, StringConstraints(pattern=r"^/[a-z0-9/-]+$")]]
    statuses: dict[str, str]
    endpoints: list[Endpoint]
    errors: list[Error]
    events: Events
    headers: list[Header]
    http_headers: list[str]
    fields: dict[str, list[Known]]


@pytest.fixture(scope="module")
def described():
    return Description.model_validate(json.loads(FILE.read_text("utf-8")))


def names_of(things):
    return [one.name for one in things]


def test_every_name_is_there_once(described):
    for things in (described.errors, described.headers):
        assert len(set(names_of(things))) == len(things)
    for fields in described.fields.values():
        known = [(one.name, version) for one in fields for version in one.versions]
        assert len(set(known)) == len(known)
    assert len(set(described.http_headers)) == len(described.http_headers)
    assert not set(described.http_headers) & set(names_of(described.headers))
    calls = [call for endpoint in described.endpoints for call in endpoint.calls]
    assert len(set(calls)) == len(calls)
    ids = [endpoint.id for endpoint in described.endpoints if endpoint.id]
    assert len(set(ids)) == len(ids)


def test_every_page_and_error_that_is_named_is_listed(described):
    pages = {page for one in described.endpoints for page in one.pages}
    pages |= {page for one in described.errors for each in one.statuses for page in each.pages}
    pages |= {*described.events.reference.pages, *described.events.guide.pages}
    assert pages == set(described.pages)
    named = {name for endpoint in described.endpoints for name in endpoint.errors}
    assert named <= set(names_of(described.errors))
    statuses = {str(each.status) for one in described.errors for each in one.statuses}
    # The simulator's own: what is too slow or too large.
    assert set(described.statuses) == statuses | {"408", "413"}


def test_what_a_page_says_names_the_page(described):
    for error in described.errors:
        for one in error.statuses:
            assert bool(one.pages) == (one.mark in {"documented", "example"}), error.name


# Written out: a contradiction that is lost from the file must not take its test with it.
CONTRADICTIONS = {
    "InvalidToken": {401: ["add-promo-codes", "session"], 400: ["error-codes"]},
    "ErrorNotEnoughStock": {422: ["session-transfer"], 400: ["error-codes"]},
    "ErrorInvalidPromoCode": {422: ["add-promo-codes"], 400: ["error-codes"]},
    "ErrorStoreUnavailable": {503: ["error-codes"], 500: ["search"]},
    "ErrorAddonNotFound": {404: ["error-codes"], 422: ["remove-addon"]},
}
GUESSED_STATUSES = {
    "ErrorPaymentDeclined": 422,
    "ErrorMissingRequiredParameters": 400,
    "ErrorInvalidState": 400,
    "MethodNotAllowed": 405,
    "InternalError": 500,
}


def test_the_pages_contradict_each_other_about_these(described):
    several = {
        error.name: {one.status: one.pages for one in error.statuses}
        for error in described.errors
        if len(error.statuses) > 1
    }
    assert several == CONTRADICTIONS
    guessed = {
        error.name: one.status
        for error in described.errors
        for one in error.statuses
        if one.mark == "guessed"
    }
    assert guessed == GUESSED_STATUSES


def test_the_events_have_two_vocabularies_and_one_error():
    assert REFERENCE == ("creating-cart", "item-added", "shipping-updated", "order-placed")
    assert GUIDE == ("order_processing", "payment_processing", "order_completed")
    assert ERROR == "error"
    stages = [one["stage"] for one in API["events"]["guide"]["names"]]
    assert stages == ["creating-cart", "shipping-updated", "order-placed"]


def test_the_client_knows_the_errors_that_a_source_names(described):
    assert {
        "ErrorInvalidInputBody",
        "ErrorProductNotFound",
        "ErrorNotEnoughStock",
        "ErrorPaymentDeclined",
        "ErrorStoreUnavailable",
    } == errors.PLACE_ORDER_ERRORS
    own = {"ErrorLineItemNotFound", "MethodNotAllowed", "InternalError"}
    assert set(errors.LISTED_STATUSES) == set(names_of(described.errors)) - own
    kinds = {one.__name__ for one in errors.FirmlyError.__subclasses__()}
    assert {error.kind for error in described.errors} == kinds | {None}


def test_client_and_simulator_read_the_same():
    assert answers.API == API
    headers = openapi.build_openapi()["paths"]["/api/v1/payment/key"]["get"]["responses"]["200"]
    assert headers["headers"] == {"x-firmly-kid": {"schema": {"type": "string"}, "required": True}}


@pytest.mark.parametrize(
    ("name", "by_list", "by_endpoint"),
    [
        ("ErrorNotEnoughStock", 400, 422),
        ("ErrorInvalidPromoCode", 400, 422),
        ("ErrorStoreUnavailable", 503, 500),
        ("ErrorAddonNotFound", 404, 422),
        ("InvalidToken", 400, 401),
        ("ErrorProductNotFound", 404, 404),
        ("ErrorPaymentDeclined", 422, 422),
        ("ErrorPromoNotAvailable", 422, 422),
        ("RateLimitExceeded", 429, 429),
    ],
)
def test_the_simulator_takes_either_pages_word(name, by_list, by_endpoint):
    error = answers.ApiError(name, "why")
    assert answers.status_of(error, Settings()) == by_list
    assert answers.status_of(error, Settings(statuses="endpoint")) == by_endpoint


def test_what_an_endpoint_gives_is_what_the_simulator_answers_with(described):
    """By name: the kind of the description, and the schema of its OpenAPI document."""
    named = {"order": "Cart", "cart": "Cart", "product_entry": "ProductEntries"}
    for one in described.endpoints:
        if one.id and one.gives:
            name = "Products" if one.many and one.gives == "product" else named.get(one.gives)
            words = one.gives.title().replace("_", "")
            assert OPERATIONS[one.id].gives == (name or words)
            assert one.gives in described.fields
        assert not one.types or one.types[0] == "application/json"
    calls = {call for header in described.headers for call in header.calls}
    assert calls <= {one.id for one in described.endpoints}


def test_every_kind_of_object_is_described(described):
    kinds = {one.of for fields in described.fields.values() for one in fields if one.of}
    assert kinds <= set(described.fields)
    for fields in described.fields.values():
        assert all(one.of is None or one.type in {"object", "array"} for one in fields)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("shop", ["staging.luma.gift", "tally", "purse", "club"])
def test_an_order_of_the_simulator_has_the_fields_that_are_described(described, shop, version):
    """All that are needed, and none that no source knows; a front end's orders have no cart_id."""
    merchant = merchants()[shop if "." in shop else f"{shop}.example.test"]
    address = {"country": "US", "state_or_province": "WA"}
    variant = next(iter(merchant.variants))
    cart = add_line(new_cart(merchant), {"variant_id": variant}, 1)
    payment = PaymentSummary("Ada", "411111", "1111", 12, 2035, "Visa", None)
    order = FORMS[version](
        replace(
            bill_to(ship_to(cart, address), address),
            confirmation=Confirmation("100004711", "2026-01-15T12:34:56.789Z", payment),
        )
    )
    unsent = {"cart_id", "cart_status"} if shop == "club" else set()
    assert not unsent & set(order)

    def compare(value, *kinds):
        known = {
            one.name: one
            for kind in kinds
            for one in described.fields[kind]
            if version in one.versions
        }
        assert set(value) <= set(known)
        assert {name for name, one in known.items() if not one.optional} <= set(value) | unsent
        for name, one in known.items():
            inner = value.get(name)
            if inner is not None and one.type == "money":
                compare(inner, "money")
            for each in ([inner] if isinstance(inner, dict) else inner or []) if one.of else []:
                compare(each, one.of)

    compare(order, "cart", "order")
