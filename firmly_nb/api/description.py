"""The API's description as data: calls, errors, events and fields, and how surely each is known.

``firmly_nb/api_description.json`` says of itself how to read it; docs/firmly-api.md says the same
in words. The simulator reads the same file.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

API: dict[str, Any] = orjson.loads(
    (Path(__file__).parents[1] / "api_description.json").read_bytes()
)


@lru_cache
def cart_fields(api_version: int) -> Mapping[tuple[str, ...], str]:
    """Return how surely each field of a cart or order is known, by the names on the way to it.

    The elements of a list have the names of the list.

    Examples
    --------
    >>> known = cart_fields(2)
    >>> known["line_items", "price", "currency"], known["shop_properties",]
    ('documented', 'simulator')
    """
    kinds = ("order", "cart")
    return {way: mark for kind in kinds for way, mark in _inside((), kind, api_version)}


def _inside(
    above: tuple[str, ...], kind: str, api_version: int
) -> Iterator[tuple[tuple[str, ...], str]]:
    for one in API["fields"][kind]:
        if api_version not in one["in"]:
            continue
        way = (*above, one["name"])
        yield way, one["mark"]
        if inner := "money" if one["type"] == "money" else one.get("of"):
            yield from _inside(way, inner, api_version)
