"""What a form asks of the catalogue, as plain JSON of bounded size; async, on the portal's loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firmly_nb import browsing
from firmly_nb.api.money import format_minor

if TYPE_CHECKING:
    import pandas as pd

    from firmly_nb.placing import Bench

MOST_PRODUCTS = 2_000
MOST_VARIANTS = 500
MOST_FOUND = 20
LONGEST = 500


async def products(bench: Bench, domain: str) -> list[dict[str, Any]]:
    """Return a merchant's products: ``handle``, ``title``."""
    table = (await browsing.products(bench, domain)).head(MOST_PRODUCTS)
    return [{"handle": _text(row["handle"]), "title": _text(row["title"])} for row in _rows(table)]


async def variants(bench: Bench, domain: str, handle: str) -> list[dict[str, Any]]:
    """Return a product's variants: what ``Item`` needs, ``options`` by name, ``price``."""
    table = (await browsing.variants(bench, domain, handle)).head(MOST_VARIANTS)
    return [
        {
            "variant_id": _text(row["variant_id"]),
            "product_id": _text(row["product_id"]),
            "variant_handles": [_text(one) for one in row["variant_handles"]],
            "title": _text(row["title"]),
            "options": {_text(name): _text(value) for name, value in row["options"].items()},
            "price": _price(row),
            "available": row["available"] is not False,
        }
        for row in _rows(table)
    ]


async def search(bench: Bench, words: str) -> list[dict[str, Any]]:
    """Return products over all merchants: ``domain``, ``handle``, ``title``."""
    table = (await browsing.search(bench, words, {})).head(MOST_FOUND)
    return [
        {name: _text(row[name]) for name in ("domain", "handle", "title")} for row in _rows(table)
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


def _text(value: Any) -> str:
    return "" if value is None else str(value)[:LONGEST]


def _price(row: dict[str, Any]) -> str:
    if row["price_minor"] is None or row["currency"] is None:
        return ""
    return f"{format_minor(int(row['price_minor']), row['currency'])} {row['currency']}"
