"""Models of an order and its parts, with the API's own field names.

Every model refuses unknown fields, and never repeats a value in an error: an address or a token
must not end up in a traceback.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NoReturn, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from firmly_nb.api.secrets import SecretStr, redact, redact_text
from firmly_nb.display.arguments import public
from firmly_nb.display.messages import (
    NEAR,
    Mistake,
    coded_error,
    tells_names,
    unknown,
    with_code,
    wrong_type,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pydantic_core import ErrorDetails


DOMAIN = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+"
)


def _of_form(pattern: str, text: str) -> AfterValidator:
    """Return a check of a field; its text says which form the field has."""

    def check(value: str | SecretStr) -> str | SecretStr:
        # A secret is opened in no variable: a traceback may show those.
        if re.fullmatch(pattern, value if isinstance(value, str) else value.get_secret_value()):
            return value
        raise ValueError(text)

    return AfterValidator(check)


Email = Annotated[
    str,
    _of_form(r"[^@\s]+@[^@\s]+\.[^@\s]+", "not a valid e-mail address. Example: ada@example.test."),
]


def bare_domain(value: str) -> str:
    """Return a merchant's domain as it is compared; raise ValueError if it is not one."""
    name = value.lower().rstrip(".")
    if not DOMAIN.fullmatch(name):
        raise ValueError("not a merchant domain. Example: staging.luma.gift.")
    return name


class InvalidOrder(Mistake, ValueError):  # noqa: N818 - reads as what it says
    """Order or part of one that is not valid: each field and its problem; nothing was sent.

    Parameters
    ----------
    model
        Name of the model.
    problems
        Pairs of a field and what is wrong with it.

    Examples
    --------
    ::

        try:
            fnb.Address.example(email="ada")
        except fnb.InvalidOrder as error:
            print(error.problems)
    """

    code = "FNB101"

    def __init__(self, model: str, problems: Sequence[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        lines = "".join(f"\n  {line}" for line in _lines(self.problems))
        super().__init__(with_code(f"{model} is not valid:{lines}", self.code))
        self.model = model

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes."""
        return type(self), (self.model, self.problems)

    @classmethod
    def of(cls, error: ValidationError, fields: Sequence[str] = ()) -> Self:
        """Make it from pydantic's error, without the values; with the fields that there are.

        Parameters
        ----------
        error
            Error of pydantic.
        fields
            Names of the fields that exist.

        Examples
        --------
        ::

            try:
                fnb.Item()
            except fnb.InvalidOrder as error:  # made by InvalidOrder.of
                print(error.problems)
        """
        problems: dict[str, str] = {}
        for entry in error.errors(include_input=False, include_url=False):
            inner = entry.get("ctx", {}).get("error")
            path = redact_text(_path(entry["loc"]))  # a field may be called by a card number
            if isinstance(inner, InvalidOrder):
                problems.update({_join(path, field): text for field, text in inner.problems})
            else:
                problems[path or "fields"] = _problem(entry, fields)
        # A list with a wrong entry is also reported as too short: that is no second problem.
        wrong = [p for p in problems if any(q.startswith((f"{p}[", f"{p}.")) for q in problems)]
        return cls(error.title, [(p, text) for p, text in problems.items() if p not in wrong])


@tells_names
class ApiModel(BaseModel):
    """Base of the request models: frozen, strict about names, silent about values."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, str_strip_whitespace=True
    )

    def __init__(self, **fields: Any) -> None:
        refused: InvalidOrder | None = None
        try:
            super().__init__(**fields)
        except ValidationError as error:
            refused = InvalidOrder.of(error, tuple(type(self).model_fields))
        if refused:
            # A traceback may show locals (%xmode Verbose), and a chained error its values.
            fields.clear()
            raise refused

    # Ways that pydantic has to make a model; each frame on the way would hold the values.

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Make a model from a dict or another model; raises :class:`InvalidOrder`."""
        made = _validated(super().model_validate, obj, options)
        del obj
        if isinstance(made, InvalidOrder):
            raise made
        return made

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Make a model from a text of JSON; raises :class:`InvalidOrder`."""
        made = _validated(super().model_validate_json, json_data, options)
        del json_data
        if isinstance(made, InvalidOrder):
            raise made
        return made

    @classmethod
    def model_validate_strings(cls, obj: Any, **options: Any) -> Self:
        """Make a model from a dict of texts; raises :class:`InvalidOrder`."""
        made = _validated(super().model_validate_strings, obj, options)
        del obj
        if isinstance(made, InvalidOrder):
            raise made
        return made

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse to be changed, without repeating the value as pydantic would."""
        del value
        kind = type(self).__name__
        text = f"{kind}.{name} cannot be set: {kind} is frozen. Make another {kind}."
        raise coded_error(ValueError, "FNB106", text)


Model = TypeVar("Model", bound=ApiModel)


def _validated(
    validate: Callable[..., Model], given: Any, options: dict[str, Any]
) -> Model | InvalidOrder:
    try:
        return validate(given, **options)
    except ValidationError as error:
        return InvalidOrder.of(error)
    except InvalidOrder as error:
        # Raised again where nothing holds the values any more.
        return InvalidOrder(error.model, error.problems)


def _made(
    model: type[Model], fields: dict[str, Any], changes: dict[str, Any], own: str = ""
) -> Model:
    """Make a model; afterwards nobody on the way holds what was given, as in ``__init__``.

    ``own`` is a name that the call takes beside the fields.
    """
    wrong = [name for name in changes if name not in model.model_fields]
    if wrong and get_close_matches(wrong[0], [own, *model.model_fields], 1, NEAR) == [own]:
        changes.clear()
        call = "test()" if own == "kind" else "example()"
        raise coded_error(TypeError, "FNB104", unknown("option", wrong[0], [own], call))
    fields = {**fields, **changes}
    changes.clear()
    try:
        return model(**fields)
    finally:
        fields.clear()


# Where pydantic's own words speak of types rather than of what to do.
WORDS = {
    "extra_forbidden": "not a field of the API.",
    "greater_than_equal": "must be at least {ge}.",
    "int_type": "must be a whole number.",
    "less_than_equal": "must be at most {le}.",
    "missing": "is required.",
    "string_too_long": "must have at most {max_length} characters.",
    "string_too_short": "must not be empty.",
    "string_type": "must be a text.",
    "too_long": "must have at most {max_length} entries.",
    "too_short": "must have at least {min_length} entry.",
}


def _lines(problems: Sequence[tuple[str, str]]) -> list[str]:
    """Return a line for each problem; required fields share one, and of many the rest is counted.

    Examples
    --------
    >>> _lines([("a", "is required."), ("b", "is required."), ("c", "is required.")])
    ['a, b, c: are required.']
    """
    required = [field for field, text in problems if text == WORDS["missing"]]
    lines = [f"{field}: {text}" for field, text in problems]
    if len(required) >= MANY:
        others = [f"{field}: {text}" for field, text in problems if field not in required]
        lines = [*others, f"{', '.join(required)}: are required."]
    if len(lines) <= MOST_LINES:
        return lines
    shown = lines[: MOST_LINES - 1]
    return [*shown, f"and {len(lines) - len(shown)} more: correct these first."]


MANY = 3  # fields that are required, for a line of their own
MOST_LINES = 3  # of problems: with the first and last line a message has six at most


def _path(parts: Sequence[str | int]) -> str:
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts).lstrip(".")


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field


def _problem(entry: ErrorDetails, fields: Sequence[str]) -> str:
    """Return what is wrong with a field, never its value."""
    if entry["type"] == "extra_forbidden" and len(entry["loc"]) == 1:
        near = get_close_matches(str(entry["loc"][0]), fields, 1, NEAR)
        hint = f"Did you mean {near[0]}?" if near else f"Use {', '.join(fields)}."
        return f"{WORDS['extra_forbidden']} {hint}" if near or fields else WORDS["extra_forbidden"]
    if known := WORDS.get(entry["type"]):
        return known.format(**entry.get("ctx", {}))
    text = entry["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return f"{text[:1].lower()}{text[1:].rstrip('.')}."


Text = Annotated[str, Field(min_length=1, max_length=500)]


@public
class Address(ApiModel):
    """Shipping or billing address of an order.

    Parameters
    ----------
    first_name
        First name; it is masked on disk.
    last_name
        Last name; it is masked on disk.
    email
        E-mail address; it is masked on disk.
    phone
        Telephone number; it is masked on disk.
    address1
        Street and number.
    address2
        Second line of the address.
    company
        Company.
    city
        City.
    state_or_province
        State or province, as a code.
    country
        Country code of two letters.
    postal_code
        Postal code.

    Raises
    ------
    InvalidOrder
        If a field is missing or wrong; it names each one.

    Examples
    --------
    >>> Address.example().city
    'Seattle'
    """

    first_name: Text
    last_name: Text
    email: Email
    phone: Text
    address1: Text
    address2: str | None = None
    company: str | None = None
    city: Text
    state_or_province: Text
    country: Text
    postal_code: Text

    @classmethod
    def example(cls, **changes: Any) -> Self:
        """Return a made-up address in Seattle, with any field changed by name.

        Parameters
        ----------
        **changes
            Fields that differ from the example.

        Raises
        ------
        InvalidOrder
            If a field is missing or wrong; it names each one.

        Examples
        --------
        ::

            fnb.Address.example(country="CA", state_or_province="ON", postal_code="M5V 3L9")
        """
        return _made(cls, EXAMPLE_ADDRESS, changes)


EXAMPLE_ADDRESS = {
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


@public
class Item(ApiModel):
    """Product variant and its quantity; on the wire ``{add_to_cart_ref, quantity}``.

    What a merchant's catalogue has in ``add_to_cart_ref`` is sent as it came, with keys that are
    not known here: pass them by name, or the whole of it as ``add_to_cart_ref``.

    Parameters
    ----------
    variant_id
        Id of the variant.
    product_id
        Id of the product, for merchants that need it.
    variant_handles
        Options of the variant, for merchants that need them.
    quantity
        How many to order.
    add_to_cart_ref
        Reference that some merchants need to add the item.

    Raises
    ------
    InvalidOrder
        If a field is missing or wrong; it names each one.

    Examples
    --------
    >>> Item(variant_id="WS12-XS-Orange", quantity=2).wire()
    {'add_to_cart_ref': {'variant_id': 'WS12-XS-Orange'}, 'quantity': 2}
    >>> Item(variant_id="7", selling_plan=3).wire()["add_to_cart_ref"]
    {'variant_id': '7', 'selling_plan': 3}
    """

    variant_id: Text
    product_id: str | None = None
    variant_handles: tuple[str, ...] | None = None
    quantity: Annotated[int, Field(ge=1, le=100_000, strict=True)] = 1
    # Exactly what the catalogue gave, where the fields above are not all of it.
    add_to_cart_ref: Annotated[dict[str, Any] | None, Field(exclude=True, repr=False)] = None

    @model_validator(mode="before")
    @classmethod
    def _keep_what_the_catalogue_gave(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        whole = given.get("add_to_cart_ref")
        named = {k: v for k, v in given.items() if k not in {"quantity", "add_to_cart_ref"}}
        if whole is None and not _is_foreign(named):
            return given
        if whole is not None and not isinstance(whole, dict):
            raise ValueError("add_to_cart_ref must be an object of the catalogue.")
        ref = dict(named if whole is None else whole)
        if whole is None:
            _check_names(ref)
        fields = {k: v for k, v in given.items() if k == "quantity"}
        whole = None if _is_plain(ref) else ref
        return {**fields, **_read_ref(ref), "add_to_cart_ref": whole}

    @model_serializer(mode="wrap")
    def _with_what_the_catalogue_gave(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        made: dict[str, Any] = dump(self)
        if self.add_to_cart_ref is not None:
            made["add_to_cart_ref"] = copy.deepcopy(self.add_to_cart_ref)
        return made

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        if self.add_to_cart_ref is None:
            return super().__repr_args__()
        return [("add_to_cart_ref", redact(self.add_to_cart_ref)), ("quantity", self.quantity)]

    @classmethod
    def of(cls, found: Mapping[str, Any] | Any, quantity: int = 1) -> Self:
        """Return the item of what the catalogue gives.

        Parameters
        ----------
        found
            A row of ``lab.variants()``, a variant of the API, or its ``add_to_cart_ref``.
        quantity
            How many to order.

        Raises
        ------
        TypeError
            If it is neither a row of ``lab.variants()`` nor a reference with a ``variant_id``.
        InvalidOrder
            If a field is missing or wrong; it names each one.

        Examples
        --------
        >>> Item.of({"add_to_cart_ref": {"variant_id": 41, "size": "L"}}).wire()
        {'add_to_cart_ref': {'variant_id': 41, 'size': 'L'}, 'quantity': 1}
        """
        if hasattr(found, "_asdict"):  # a row of itertuples
            found = found._asdict()
        values = dict(found) if isinstance(found, Mapping) or hasattr(found, "keys") else None
        ref = values and (values.get("add_to_cart_ref") or values)
        if not isinstance(ref, Mapping) or "variant_id" not in ref:
            wanted = "a row of lab.variants(), or an add_to_cart_ref with a variant_id"
            usage = 'lab.variants("radiant-tee").iloc[0], or lab.item(row) for a product'
            raise wrong_type("found", wanted, found, usage)
        return cls.model_validate({"add_to_cart_ref": dict(ref), "quantity": quantity})

    def wire(self) -> dict[str, Any]:
        """Return the item as Place Order v2 wants it.

        Examples
        --------
        ::

            fnb.Item(variant_id="WS12-XS-Orange").wire()
        """
        ref = self.model_dump(exclude={"quantity"}, exclude_none=True, mode="json")
        whole = copy.deepcopy(self.add_to_cart_ref)
        return {"add_to_cart_ref": whole or ref, "quantity": self.quantity}

    def __hash__(self) -> int:
        return hash((self.variant_id, self.product_id, self.variant_handles, self.quantity))


REF_FIELDS = ("variant_id", "product_id", "variant_handles")


def _is_foreign(ref: dict[str, Any]) -> bool:
    """Return whether a reference holds more than the fields of an item say."""
    ids = (ref.get("variant_id"), ref.get("product_id"))
    handles = ref.get("variant_handles")
    return (
        not ref.keys() <= set(REF_FIELDS)
        or any(type(one) is int for one in ids)
        or (isinstance(handles, list | tuple) and not all(isinstance(h, str) for h in handles))
    )


def _is_plain(ref: dict[str, Any]) -> bool:
    """Return whether a reference is just what the fields of an item say."""
    handles = ref.get("variant_handles", [])
    texts = [value for name, value in ref.items() if name != "variant_handles"]
    return (
        ref.keys() <= set(REF_FIELDS)
        and isinstance(handles, list)
        and all(isinstance(one, str) and one == one.strip() for one in (*texts, *handles))
    )


def _check_names(ref: dict[str, Any]) -> None:
    """Refuse a key that is a slip of the pen: it would be sent, and what was meant would not."""
    known = (*REF_FIELDS, "quantity")
    for name in ref.keys() - set(REF_FIELDS):
        if near := get_close_matches(str(name), known, 1, NEAR):
            text = f"not a field of the API. Did you mean {near[0]}?"
            raise InvalidOrder("Item", [(redact_text(str(name)), text)])


def _read_ref(ref: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an item that a reference of the catalogue has, as texts."""
    handles = ref.get("variant_handles")
    found = {
        name: str(ref[name]) if isinstance(ref[name], int) else ref[name]
        for name in ("variant_id", "product_id")
        if ref.get(name) is not None
    }
    if isinstance(handles, list | tuple):
        found["variant_handles"] = tuple(map(str, handles))
    elif handles is not None:
        found["variant_handles"] = handles
    return found


def _digits(value: Any) -> Any:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return re.sub(r"[\s-]", "", value) if isinstance(value, str) else value


SecretDigits = Annotated[SecretStr, BeforeValidator(_digits)]


@public
class Card(ApiModel):
    """Payment card. Number and CVV are secrets: no repr, error or dump shows them.

    Parameters
    ----------
    number
        Card number; only well-known test cards are accepted outside of the simulator.
    name
        Name on the card.
    verification_value
        CVV of the card; it is never written down.
    month
        Month in which the card expires.
    year
        Year in which the card expires.

    Raises
    ------
    InvalidOrder
        If a field is missing or wrong; it names each one.

    Examples
    --------
    >>> Card.test()
    Card(Visa test, ends in 1111)
    """

    number: Annotated[SecretDigits, _of_form(r"[0-9]{12,19}", "must be 12 to 19 digits.")]
    name: Text = "Ada Example"
    verification_value: Annotated[SecretDigits, _of_form(r"[0-9]{3,4}", "must be 3 or 4 digits.")]
    month: Annotated[str, _of_form(r"0[1-9]|1[0-2]", "must be two digits, 01 to 12.")]
    year: Annotated[str, _of_form(r"20[0-9]{2}", "must be four digits, like 2030.")]

    @classmethod
    def test(cls, kind: str = "visa", **changes: Any) -> Self:
        """Return a well-known test card: one of :data:`TEST_CARDS` by name.

        Parameters
        ----------
        kind
            Name of the test card, such as ``visa`` or ``declined``.
        **changes
            Fields that differ, such as ``year``.

        Raises
        ------
        ValueError
            If there is no test card of that name.

        Examples
        --------
        ::

            fnb.Card.test("declined")
        """
        if kind not in TEST_CARDS:
            raise unknown_card(kind)
        cvv = "1234" if kind == "amex" else "123"
        fields = {
            "number": TEST_CARDS[kind],
            "verification_value": cvv,
            "month": "12",
            "year": "2030",
        }
        return _made(cls, fields, changes, "kind")

    @property
    def is_test(self) -> bool:
        """True if the number is one of the well-known test numbers."""
        return self.number.get_secret_value() in TEST_CARDS.values()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        """Refuse to be pickled: that would be the number and the CVV in plain text."""
        raise coded_error(
            TypeError,
            "FNB107",
            "A card cannot be pickled: its number would be plain text. Make it where the order is "
            "placed.",
        )

    def __repr__(self) -> str:
        if "number" not in self.__dict__:
            return "Card()"  # as a traceback of a refused one may show it
        number = self.number.get_secret_value()
        kind = next((k for k, v in TEST_CARDS.items() if v == number), None)
        label = f"{kind.capitalize()} test" if kind else "not a test card"
        return f"Card({label}, ends in {number[-4:]})"

    __str__ = __repr__


def unknown_card(kind: object, more: tuple[str, ...] = ()) -> ValueError:
    """Return the error for a card name that does not exist; digits are not repeated."""
    names = [*TEST_CARDS, *more]
    if isinstance(kind, str) and not re.search(r"\d{2}", kind):
        return coded_error(ValueError, "FNB103", unknown("test card", kind, names))
    text = f"A test card is named, not given by its number. Use {', '.join(names)}."
    return coded_error(ValueError, "FNB103", text)


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, Item) else value


# Published by the card networks and payment processors for testing; none belongs to anyone.
TEST_CARDS = {
    "visa": "4111111111111111",
    "visa2": "4242424242424242",
    "mastercard": "5555555555554444",
    "amex": "378282246310005",
    "discover": "6011111111111117",
    "declined": "4000000000000002",
}


@public
class Order(ApiModel):
    """Order of items at one merchant for one person; the card is passed separately.

    Parameters
    ----------
    domain
        Host name of the merchant.
    items
        The line items to order, at least one ``fnb.Item``.
    shipping_info
        Address to send the order to.
    billing_info
        Billing address; by default the shipping address.
    captcha_token
        Token of a solved captcha, for a merchant that needs one.

    Raises
    ------
    InvalidOrder
        If a field is missing or wrong; it names each one.

    Examples
    --------
    >>> order = Order.example(quantity=2)
    >>> order.domain, order.items[0].variant_id, order.items[0].quantity
    ('staging.luma.gift', 'WS12-XS-Orange', 2)
    >>> Order.example(quantity=0)
    Traceback (most recent call last):
    ...
    firmly_nb.api.models.InvalidOrder: Order is not valid:
      items[0].quantity: must be at least 1. [FNB101]
    """

    domain: Annotated[str, AfterValidator(bare_domain)]
    items: Annotated[
        tuple[Item, ...], BeforeValidator(_as_tuple), Field(min_length=1, max_length=1_000)
    ]
    shipping_info: Address
    billing_info: Address | None = None
    captcha_token: SecretStr | None = None
    by_calls: ClassVar[bool] = False  # whether it is made call by call

    @classmethod
    def example(cls, quantity: int = 1, **changes: Any) -> Self:
        """Return an order that the simulator and ``staging.luma.gift`` can fulfil.

        Parameters
        ----------
        quantity
            Quantity of the example's line item.
        **changes
            Fields of the order that differ.

        Raises
        ------
        InvalidOrder
            If a field is missing or wrong; it names each one.

        Examples
        --------
        ::

            fnb.Order.example(quantity=2)
        """
        item = {
            "variant_id": "WS12-XS-Orange",
            "product_id": "WS12",
            "variant_handles": ("radiant-tee", "xs-orange"),
            "quantity": quantity,
        }
        fields: dict[str, Any] = {
            "domain": "staging.luma.gift",
            "items": [item],
            "shipping_info": EXAMPLE_ADDRESS,
        }
        return _made(cls, fields, changes, "quantity")

    def __reduce_ex__(self, protocol: Any) -> str | tuple[Any, ...]:
        """Refuse to be pickled with a captcha token: it would be there in plain text."""
        if self.captcha_token is not None:
            raise coded_error(
                TypeError,
                "FNB107",
                "An order with a captcha token cannot be pickled: the token would be plain text. "
                "Add it where the order is placed.",
            )
        return super().__reduce_ex__(protocol)

    @property
    def quantity(self) -> int:
        """Quantity of all items together."""
        return sum(item.quantity for item in self.items)

    def wire(self, encrypted_card: str) -> dict[str, Any]:
        """Return the body of Place Order v2; billing falls back to the shipping address.

        Parameters
        ----------
        encrypted_card
            Card as the recorder sends it.

        Examples
        --------
        ::

            sorted(fnb.Flow.example().wire("JWE"))
        """
        shipping = self.shipping_info.model_dump(exclude_none=True)
        billing = self.billing_info or self.shipping_info
        body: dict[str, Any] = {
            "encrypted_card": encrypted_card,
            "billing_info": billing.model_dump(exclude_none=True),
            "shipping_info": shipping,
            "items": [item.wire() for item in self.items],
        }
        if self.captcha_token is not None:
            body["captcha_token"] = self.captcha_token.get_secret_value()
        return body
