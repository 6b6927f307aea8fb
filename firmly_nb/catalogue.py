"""Everything of the API but placing: session, key, catalogue, cart, as tables where they are lists.

Async, on the background loop; ``Lab`` is its thin face. A form asks for the ``*_choices``. Nothing
here orders, so a question is put once more where the session had ended.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from firmly_nb.api.models import InvalidOrder, Item, bare_domain
from firmly_nb.api.money import money_text, read_money
from firmly_nb.api.secrets import redact
from firmly_nb.api.values import whole_number
from firmly_nb.devices import once_more
from firmly_nb.display.messages import coded_error, quoted, wrong_type
from firmly_nb.display.text import printable
from firmly_nb.environments import DEMO_MERCHANT
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import pandas as pd

    from firmly_nb.api.secrets import SecretStr
    from firmly_nb.engine import Bench
    from firmly_nb.recordings.recording import Recording


Answer = TypeVar("Answer")
Given = ParamSpec("Given")
PAGE_SIZE = 500
MOST_PAGES = 200

PRODUCTS = Table(
    "products",
    "one row a product of a merchant",
    (
        Column("domain", "str", "", "the merchant"),
        Column("handle", "str", "", "name of the product in URLs"),
        Column("title", "str", "", "its title"),
        Column("url", "str", "", "its page"),
    ),
)
VARIANTS = Table(
    "variants",
    "one row a variant of a product",
    (
        Column("variant_id", "str", "", "what Item wants"),
        Column("product_id", "str", "", "what Item may have"),
        Column("variant_handles", "object", "", "what Item may have: a tuple of texts"),
        Column("add_to_cart_ref", "object", "", "all of it, as Item.of takes it"),
        Column("title", "str", "", "its title"),
        Column("options", "object", "", "what tells it from the others: texts by name (Size: XS)"),
        Column("price_minor", "Int64", "minor units", "price of one"),
        Column("currency", "str", "", "ISO 4217"),
        Column("available", "boolean", "", "whether it can be ordered now"),
    ),
)
FOUND = Table(
    "found",
    "one row a product that a search found",
    (
        Column("domain", "str", "", "the merchant; empty where firmly does not say"),
        Column("handle", "str", "", "name of the product in URLs"),
        Column("title", "str", "", "its title"),
        Column("min_price_minor", "Int64", "minor units", "cheapest variant"),
        Column("max_price_minor", "Int64", "minor units", "dearest variant"),
        Column("available", "boolean", "", "whether any variant can be ordered now"),
    ),
)


def _asked_anew(
    question: Callable[Concatenate[Bench, Given], Coroutine[Any, Any, Answer]],
) -> Callable[Concatenate[Bench, Given], Coroutine[Any, Any, Answer]]:
    """Let a question be put once more where the session had ended."""

    @wraps(question)
    async def asked(bench: Bench, /, *args: Given.args, **named: Given.kwargs) -> Answer:
        return await once_more(lambda: question(bench, *args, **named))

    return asked


def _merchant(domain: str) -> str:
    """Return the host name of a merchant; another text would be another path of the API."""
    try:
        return bare_domain(domain)
    except ValueError:
        text = f"domain must be the host name of a merchant, got {quoted(domain)}"
        raise _nothing_to_ask(f"{text}. Example: {DEMO_MERCHANT}.") from None


def _handle(handle: str) -> str:
    if handle.strip():
        return handle
    text = f"handle must name a product, got {quoted(handle)}. List them with lab.products()."
    raise _nothing_to_ask(text)


def _nothing_to_ask(text: str) -> ValueError:
    return coded_error(ValueError, "FNB118", f"{text} Nothing was sent.")


async def session(bench: Bench, *, renew: bool) -> pd.Series[Any]:
    """Return what may be shown of the first free device's session."""
    import pandas as pd

    async with bench.devices().take() as device:
        if renew:
            await bench.devices().renew(device)
        expires = pd.Timestamp(device.session.expires, unit="s", tz="UTC")
        facts = {"device_id": device.session.device_id, "expires": expires}
    return pd.Series(facts, name="session", dtype=object)


async def public_key(bench: Bench) -> dict[str, Any]:
    """Return the key for cards: ``kid`` beside the JWK's public parts."""
    key = await bench.client().payment_key()
    return {"kid": key.kid, **key.jwk}


@_asked_anew
async def products(bench: Bench, domain: str) -> pd.DataFrame:
    """List a merchant's products, all pages."""
    domain = _merchant(domain)
    found: list[Any] = []
    before: list[Any] = []
    async with bench.devices().take() as device:
        token = device.session.access_token
        for page in range(1, MOST_PAGES + 1):
            batch = await bench.client().products(domain, token, page=page, size=PAGE_SIZE)
            # Who passes over the number of the page sends the same one for ever.
            if batch == before:
                break
            found += batch
            before = batch
            if len(batch) < PAGE_SIZE:
                break
    return PRODUCTS.frame(
        [
            {
                "domain": domain,
                "handle": _text(product, "handle"),
                "title": _text(product, "title"),
                "url": _text(product, "loc"),
            }
            for product in _objects(found)
        ]
    )


@_asked_anew
async def variants(bench: Bench, domain: str, handle: str) -> pd.DataFrame:
    """List what can be ordered of a product."""
    domain, handle = _merchant(domain), _handle(handle)
    async with bench.devices().take() as device:
        product = await bench.client().product(domain, handle, device.session.access_token)
    names = _option_names(product.get("variant_option_values"))
    rows = []
    for variant in _objects(product.get("variants")):
        reference = _object(variant.get("add_to_cart_ref"))
        price_minor, currency = read_money(variant.get("price")) or (None, None)
        rows.append(
            {
                "variant_id": _text(reference, "variant_id"),
                "product_id": _text(reference, "product_id"),
                "variant_handles": tuple(map(str, _list(reference.get("variant_handles")))),
                "add_to_cart_ref": reference,
                "title": _text(variant, "title") or _text(variant, "display_name"),
                "options": _options(names, variant.get("variant_option_list")),
                "price_minor": price_minor,
                "currency": currency,
                "available": _flag(variant.get("available")),
            }
        )
    return VARIANTS.frame(rows)


async def item(bench: Bench, product: Any, domain: str | None, quantity: int) -> Item:
    """Return the first variant of a product that can be ordered.

    Raises
    ------
    LookupError
        If the merchant has none.
    """
    row = product if hasattr(product, "keys") and "handle" in product else None
    handle = product if row is None else row["handle"]
    if not isinstance(handle, str):
        wanted = "a handle, or a row of lab.products() or lab.search()"
        raise wrong_type("product", wanted, product, "lab.item(lab.products().iloc[0])")
    if domain is None:
        domain = str(row["domain"]) if row is not None else DEMO_MERCHANT
    for variant in _rows(await variants(bench, domain, handle)):
        if variant["available"] is not False and variant["add_to_cart_ref"]:
            return Item.of(variant, quantity)
    text = f"{printable(domain)} has no variant of {printable(handle)} that can be ordered now."
    raise coded_error(LookupError, "FNB113", f"{text} Choose another from lab.products().")


@_asked_anew
async def search(bench: Bench, query: str, filters: dict[str, Any]) -> pd.DataFrame:
    """Search products over all merchants."""
    if not query.strip():
        text = f"query must have words to search for, got {quoted(query)}"
        raise _nothing_to_ask(f'{text}. Try lab.search("hoodie").')
    async with bench.devices().take() as device:
        found = await bench.client().search(query, device.session.access_token, filters)
    return FOUND.frame(
        [
            {
                "domain": _text(hit, "domain"),
                "handle": _text(hit, "handle"),
                "title": _text(hit, "title"),
                # Discovery gives minor units without a currency.
                "min_price_minor": whole_number(_object(hit.get("price_range")).get("min")),
                "max_price_minor": whole_number(_object(hit.get("price_range")).get("max")),
                "available": _flag(hit.get("has_available_variants")),
            }
            for hit in _objects(found)
        ]
    )


async def cart(bench: Bench, of: str | Recording) -> dict[str, Any]:
    """Return the cart of an order, or of the last order at a merchant, secrets taken out.

    Raises
    ------
    LookupError
        If the order was not placed in this lab.
    """
    devices, domain = bench.devices(), _merchant(of) if isinstance(of, str) else of.domain

    async def ask(token: SecretStr) -> dict[str, Any]:
        answer: dict[str, Any] = redact(await bench.client().cart(domain, token))
        return answer

    async def last_at_merchant() -> dict[str, Any]:
        async with devices.take(devices.by_domain.get(domain)) as device:
            return await ask(device.session.access_token)

    if isinstance(of, str):
        return await once_more(last_at_merchant)
    return await devices.for_order(of, ask)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in _list(value) if isinstance(one, dict)]


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(values: dict[str, Any], key: str) -> str | None:
    value = values.get(key)
    return None if value is None else str(value)


def _option_names(options: Any) -> list[str]:
    """Return the names of a product's options in the order of its variants' values."""
    known = _objects(options)
    known.sort(key=lambda one: one["position"] if isinstance(one.get("position"), int) else 0)
    return [str(one.get("display_name") or "") for one in known]


def _options(names: list[str], values: Any) -> dict[str, str]:
    """Return a variant's options by name; one without a name is called by its number."""
    texts = [str(value) for value in _list(values)]
    return {
        (names[n] if n < len(names) and names[n] else f"Option {n + 1}"): text
        for n, text in enumerate(texts)
    }


# What a form asks is plain JSON of bounded size.
MOST_PRODUCTS = 2_000
LONGEST_REF = 20_000  # characters
MOST_VARIANTS = 500
MOST_FOUND = 20
LONGEST = 500


async def product_choices(bench: Bench, domain: str) -> list[dict[str, Any]]:
    """Return a merchant's products: ``handle``, ``title``."""
    table = (await products(bench, domain)).head(MOST_PRODUCTS)
    return [
        {"handle": _clipped(row["handle"]), "title": _shown(row["title"])} for row in _rows(table)
    ]


async def variant_choices(bench: Bench, domain: str, handle: str) -> list[dict[str, Any]]:
    """Return a product's variants: what ``Item`` needs, ``options`` by name, ``price``."""
    table = (await variants(bench, domain, handle)).head(MOST_VARIANTS)
    return [
        {
            "variant_id": _clipped(row["variant_id"]),
            "product_id": _clipped(row["product_id"]),
            "variant_handles": [_clipped(one) for one in row["variant_handles"]],
            "title": _shown(row["title"]),
            "options": {_shown(name): _shown(value) for name, value in row["options"].items()},
            "price": _price_text(row),
            "available": row["available"] is not False,
            **_foreign(row["add_to_cart_ref"]),
        }
        for row in _rows(table)
    ]


def _foreign(ref: dict[str, Any]) -> dict[str, Any]:
    """Return a reference, by name, that holds more than the fields of an item; else nothing."""
    try:
        whole = Item.of(ref).add_to_cart_ref if ref.get("variant_id") else None
    except InvalidOrder:
        whole = None
    return {"add_to_cart_ref": whole} if whole and len(repr(whole)) <= LONGEST_REF else {}


async def found_choices(bench: Bench, words: str) -> list[dict[str, Any]]:
    """Return products over all merchants: ``domain``, ``handle``, ``title``."""
    table = (await search(bench, words, {})).head(MOST_FOUND)
    return [
        {
            "domain": _clipped(row["domain"]),
            "handle": _clipped(row["handle"]),
            "title": _shown(row["title"]),
        }
        for row in _rows(table)
    ]


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows in which what is missing is None."""
    return [
        {str(name): value if _is_there(value) else None for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def _is_there(value: Any) -> bool:
    import pandas as pd

    return isinstance(value, (tuple, list, dict)) or not pd.isna(value)


def _shown(value: Any) -> str:
    """Return what is only shown, made harmless; what is sent back stays as it was."""
    return "" if value is None else printable(value, LONGEST)


def _clipped(value: Any) -> str:
    return "" if value is None else str(value)[:LONGEST]


def _price_text(row: dict[str, Any]) -> str:
    if row["price_minor"] is None or row["currency"] is None:
        return ""
    return money_text(int(row["price_minor"]), row["currency"])
