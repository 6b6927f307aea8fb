"""A few carts at a time, their parts found once for all tables.

A processor reads what it has just touched many times faster than what lies elsewhere in memory.
So the tables are read from batches of carts that fit in its cache, all tables from one batch
before the next.
"""

from __future__ import annotations

from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from firmly_nb.carts.fields import Rows
from firmly_nb.carts.find import Found, Json, as_list, parts

if TYPE_CHECKING:
    from collections.abc import Iterator

CARTS_AT_ONCE = 100
CART_FIELDS = """
    cart_id platform_id shop_id display_name cart_status line_items shipments sub_total
    shipping_total total tax tax_total addon_total cart_discount addons coupons promo_codes
    notices notice shipping_info billing_info shipping_method shipping_method_options
    payment_method_options shop_properties features urls session payment_handle store_credit
    schema_version platform_order_number submitted_at payment_summary payment_method handle
"""
LINE_FIELDS = """
    line_item_id platform_line_item_id sku id base_sku variant_id description variant_description
    quantity price line_price msrp line_discount discount discounts requires_shipping image
"""
SHIPMENT_FIELDS = """
    shipment_id line_item_ids fulfillment_type fulfillment_type_options shipping_method
    shipping_method_options notes selected_date selected_time_slot selected_location
"""
LISTS = ("coupons", "promo_codes", "notices", "notice")


class Batch:
    """A few snapshots and, once asked for, their parts: one list a cart, and rows of all carts."""

    def __init__(self, found: Found) -> None:
        self.found = found

    @cached_property
    def carts(self) -> Rows:
        """The carts themselves; what stands where a list should be is kept as a misfit."""
        rows = Rows(self.found.carts, CART_FIELDS.split())
        for field, lists in (("line_items", self.lines), ("shipments", self.shipments_v2)):
            for place, (sent, good) in enumerate(zip(rows.raw(field), lists, strict=True)):
                if sent is not good and sent is not None and (strays := _strays(sent)):
                    rows.keep(place, field, strays)
        for field in LISTS:
            for place, value in enumerate(rows.raw(field)):
                if value is not None and not isinstance(value, list):
                    rows.keep(place, field, value)
        return rows

    @cached_property
    def lines(self) -> list[list[Json]]:
        """The lines of each cart."""
        return [parts(cart, "line_items") for cart in self.found.carts]

    @cached_property
    def line_rows(self) -> Rows:
        """The lines of all carts."""
        return Rows(list(chain.from_iterable(self.lines)), LINE_FIELDS.split())

    @cached_property
    def shipments_v2(self) -> list[list[Json]]:
        """The shipments of each v2 cart."""
        return [parts(cart, "shipments") for cart in self.found.carts]

    @cached_property
    def shipments(self) -> list[list[Json]]:
        """The shipments of each cart; a v1 cart's shipping method is one."""
        both = zip(self.found.carts, self.shipments_v2, strict=True)
        return [shipments or _v1_shipment(cart) for cart, shipments in both]

    @cached_property
    def notices(self) -> list[list[Json]]:
        """The notices of each cart: v2's objects and v1's texts."""
        return [_notices(cart) for cart in self.found.carts]


def batches(found: Found) -> Iterator[Batch]:
    """Cut the snapshots into batches."""
    return map(Batch, found.slices(CARTS_AT_ONCE))


def _v1_shipment(cart: Json) -> list[Json]:
    method = cart.get("shipping_method")
    if not method or not isinstance(method, dict):
        return []
    options = cart.get("shipping_method_options")
    return [
        {
            "line_item_ids": method.get("applicable_line_items"),
            "shipping_method": method,
            "shipping_method_options": options if isinstance(options, list) else None,
        }
    ]


def _notices(cart: Json) -> list[Json]:
    if not (cart.get("notices") or cart.get("notice")):
        return []
    notices = [*as_list(cart.get("notices")), *as_list(cart.get("notice"))]
    return [each if isinstance(each, dict) else {"code": each} for each in notices]


def _strays(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [each for each in value if type(each) is not dict]
