"""The tables of the cart, declared once: what one row is, and every column's meaning.

All amounts are whole minor units of the row's ``currency``; a field that a snapshot does not have
is a null, never a zero.
"""

from __future__ import annotations

from firmly_nb.schema import Column, Table

RECORDING = Column("recording_id", "str", "", "the order this row belongs to")
KEYS = (
    RECORDING,
    Column("seq", "int64", "", "the event's number; joins with events"),
    Column("event", "category", "", "the event's name"),
)
CURRENCY = Column("currency", "category", "", "ISO 4217 code of the row's amounts")
OTHER = Column("other", "object", "", "undocumented fields, and values that could not be read")


def _minor(name: str, meaning: str) -> Column:
    return Column(name, "Int64", "minor units", meaning)


SNAPSHOTS = Table(
    "snapshots",
    "one row a cart snapshot",
    (
        *KEYS,
        Column("kind", "category", "", "cart, or order once it is placed"),
        Column("cart_id", "str", "", "the cart's id"),
        Column("platform_id", "category", "", "the merchant's platform, such as magento"),
        Column("shop_id", "category", "", "the merchant's domain"),
        Column("display_name", "str", "", "the merchant's name"),
        Column("cart_status", "category", "", "active, submitted, item_not_shippable, ..."),
        Column("order_number", "str", "", "the merchant's order number"),
        Column("submitted_at", "datetime64[ns, UTC]", "", "when the order was submitted"),
        Column("shipping_country", "category", "", "country shipped to, as the API says it"),
        Column("shipping_region", "category", "", "state or province shipped to"),
        Column("shipping_method", "category", "", "chosen methods, joined by ' + '"),
        Column("n_lines", "int64", "", "line items in the cart"),
        Column("quantity", "Int64", "", "sum of the quantities"),
        Column("n_shipments", "int64", "", "shipments in the cart"),
        Column("n_notices", "int64", "", "notices in the cart"),
        _minor("sub_total_minor", "sum of the line items"),
        _minor("shipping_total_minor", "shipping"),
        _minor("tax_total_minor", "tax"),
        _minor("addon_total_minor", "addons"),
        _minor("cart_discount_minor", "discount on the whole cart"),
        _minor("store_credit_minor", "store credit"),
        _minor("total_minor", "what is to be paid"),
        CURRENCY,
        Column("schema_version", "category", "", "version of the cart's format"),
        OTHER,
    ),
)

LINE_ITEMS = Table(
    "line_items",
    "one row a line item of a snapshot",
    (
        *KEYS,
        Column("line_no", "int64", "", "place in the cart; the first is 1"),
        Column("line_item_id", "str", "", "the line item's id"),
        Column("platform_line_item_id", "str", "", "the line item's id on the merchant's platform"),
        Column("sku", "str", "", "what was bought (sku, else id)"),
        Column("base_sku", "str", "", "the product, without its variant"),
        Column("variant_id", "str", "", "the variant's id"),
        Column("description", "str", "", "the product in words"),
        Column("variant_description", "str", "", "the variant in words"),
        Column("quantity", "Int64", "", "how many of it; null unless a whole number"),
        _minor("price_minor", "price of one"),
        _minor("line_price_minor", "price of the line item"),
        _minor("msrp_minor", "list price of one"),
        _minor("discount_minor", "line_discount, or discount, or the sum of discounts"),
        CURRENCY,
        Column("requires_shipping", "boolean", "", "whether the line item is sent"),
        Column("image_url", "str", "", "picture (image.url or image.src)"),
        OTHER,
    ),
)

SHIPMENTS = Table(
    "shipments",
    "one row a shipment of a snapshot; a v1 cart's shipping_method is one without shipment_id",
    (
        *KEYS,
        Column("shipment_no", "int64", "", "place in the cart; the first is 1"),
        Column("shipment_id", "str", "", "the shipment's id"),
        Column("fulfillment_type", "category", "", "SHIP_TO_ADDRESS, IN_STORE_PICKUP, ..."),
        Column("fulfillment_name", "category", "", "the same in words"),
        Column("method_id", "category", "", "chosen method (v2: id, v1: sku)"),
        Column("method_description", "category", "", "the same in words"),
        _minor("method_price_minor", "price of the chosen method"),
        CURRENCY,
        Column("estimated_delivery", "str", "", "in the merchant's words"),
        Column("selected_date", "str", "", "date chosen for a scheduled delivery"),
        Column("n_methods", "int64", "", "methods offered"),
        Column("n_fulfillment_types", "int64", "", "fulfillment types offered"),
        Column("n_lines", "int64", "", "line items in the shipment"),
        Column("line_item_ids", "object", "", "their ids, a list"),
        Column("notes", "str", "", "notes for the delivery"),
        OTHER,
    ),
)

NOTICES = Table(
    "notices",
    "one row a notice of a snapshot",
    (
        *KEYS,
        Column("notice_no", "int64", "", "place in the cart; the first is 1"),
        Column("code", "str", "", "such as ITEM_OUT_OF_STOCK"),
        Column("message", "str", "", "the notice in words"),
        Column("line_item_ids", "object", "", "the line items it is about, a list"),
        OTHER,
    ),
)

DISCOUNTS = Table(
    "discounts",
    "one row a discount, or a code applied, of a snapshot",
    (
        *KEYS,
        Column("field", "category", "", "the field it stands in, such as cart_discount"),
        Column("line_item_id", "str", "", "the line item it belongs to; null for the whole cart"),
        Column("code", "str", "", "coupon or promo code"),
        Column("description", "str", "", "the discount in words"),
        _minor("amount_minor", "amount, as sent; some merchants send it negative"),
        CURRENCY,
        OTHER,
    ),
)

PRICES = Table(
    "prices",
    "one row a price of a variant that an order was shown, by merchant, variant and time",
    (
        Column("domain", "str", "", "the merchant"),
        Column("variant_id", "str", "", "the variant's id, else its sku"),
        CURRENCY,
        Column("at", "datetime64[ns, UTC]", "", "start of the order; null if not known"),
        RECORDING,
        Column("seq", "int64", "", "event that showed it first in this order"),
        Column("event", "category", "", "name of that event"),
        _minor("price_minor", "price of one"),
        _minor("before_minor", "price in the row before, of this variant; null in the first"),
        _minor("change_minor", "price_minor less before_minor"),
        Column("sentence", "str", "", "what changed and when; null if nothing did"),
    ),
)

CHANGES = Table(
    "changes",
    "one row a difference between two snapshots of one order that follow each other",
    (
        RECORDING,
        Column("seq_before", "int64", "", "event of the earlier snapshot"),
        Column("seq_after", "int64", "", "event of the later snapshot"),
        Column(
            "path",
            "str",
            "",
            "where, such as line_items[WS12-XS-Orange].price; odd names are quoted",
        ),
        Column("kind", "category", "", "added, removed or changed"),
        Column("before", "object", "", "earlier value; an amount in minor units"),
        Column("after", "object", "", "later value; an amount in minor units"),
        Column("currency", "category", "", "set where before and after are amounts"),
        Column("event", "category", "", "name of the later event"),
    ),
)

FINDINGS = Table(
    "checks",
    "one row a thing that should be true of a cart and is not",
    (
        *KEYS,
        Column("check", "category", "", "name of the check"),
        Column("severity", "category", "", "error, warning or info"),
        Column("path", "str", "", "where in the cart"),
        Column("expected", "str", "", "what should be there"),
        Column("found", "str", "", "what is there"),
        Column("sentence", "str", "", "the finding in words"),
    ),
)

CHECK_SUMMARY = Table(
    "check_summary",
    "one row a check that ran",
    (
        Column("check", "str", "", "name of the check"),
        Column("severity", "category", "", "error, warning or info"),
        Column("meaning", "str", "", "what it holds a cart to"),
        Column("snapshots", "int64", "", "snapshots it looked at"),
        Column("skipped", "int64", "", "snapshots that lack what it needs"),
        Column("not_read", "int64", "", "snapshots skipped because what it needs was not read"),
        Column("findings", "int64", "", "things found"),
    ),
)

CART_MARKS = Table(
    "cart_marks",
    "one row a cart snapshot: how many checks looked at it",
    (
        *KEYS,
        Column("checks", "int64", "", "checks that looked at it"),
        Column("failed", "int64", "", "checks that found something"),
        Column("findings", "int64", "", "things found"),
        Column("skipped", "int64", "", "checks skipped: it lacks what they need"),
        Column("not_read", "int64", "", "checks skipped: what they need was not read"),
    ),
)

CONVENTIONS = Table(
    "conventions",
    "one row for each merchant and question about how it counts",
    (
        Column("domain", "str", "", "the merchant"),
        Column("question", "category", "", "tax, line discount, rounding, ..."),
        Column("answer", "str", "", "how it counts; cannot be told, or differs"),
        Column("n_for", "int64", "", "carts that leave no doubt of it"),
        Column("n_against", "int64", "", "carts that say something else"),
        Column("carts_for", "object", "", "their recording_id and seq, a list of pairs"),
        Column("carts_against", "object", "", "the same of those against"),
        Column("sentence", "str", "", "the convention in words"),
    ),
)

NOT_READ = Table(
    "not_read",
    "one row an event whose cart was not read",
    (*KEYS, Column("reason", "str", "", "why it was not read")),
)

FIELD_PRESENCE = Table(
    "field_presence",
    "one row a field of an event of a merchant",
    (
        Column("event", "category", "", "the event's name"),
        Column("domain", "category", "", "the merchant"),
        Column("path", "str", "", "the field; [] any element of a list, {} any key of a map"),
        Column("types", "str", "", "JSON types seen, joined by |"),
        Column("presence", "float64", "share", "share of its parents that have it"),
        Column("present", "int64", "", "parents that have it"),
        Column("n", "int64", "", "parents: snapshots, lines, amounts, ..."),
        Column("origin", "category", "", "who sends it: documented, firmly's code, simulator, ..."),
    ),
)

SCHEMA_DRIFT = Table(
    "schema_drift",
    "one row a field that differs between two sets of events",
    (
        Column("event", "category", "", "the event's name"),
        Column("domain", "category", "", "the merchant"),
        Column("path", "str", "", "the field"),
        Column("change", "category", "", "appeared, vanished, changed type, more or less often"),
        Column("origin", "category", "", "who sends it: documented, firmly's code, simulator, ..."),
        Column("types_before", "str", "", "JSON types in the first set"),
        Column("types_after", "str", "", "JSON types in the second set"),
        Column("presence_before", "float64", "share", "presence in the first set"),
        Column("presence_after", "float64", "share", "presence in the second set"),
        Column("sentence", "str", "", "the difference in words"),
    ),
)

EXPLANATIONS = Table(
    "explanations",
    "one row a field tried as an explanation of the orders' latency",
    (
        Column("field", "str", "", "the field"),
        Column("kind", "category", "", "numeric or categorical"),
        Column("n", "int64", "", "placed orders that have it"),
        Column("n_levels", "Int64", "", "different values"),
        Column("unit", "str", "", "what is one observation: orders, or runs"),
        Column("units", "Int64", "", "how many of them"),
        Column("measure", "category", "", "Spearman rho, or epsilon squared"),
        Column("effect", "float64", "", "the effect size"),
        Column("low", "float64", "", "lower end of its interval"),
        Column("high", "float64", "", "upper end of its interval"),
        Column("explained", "float64", "share", "of the latency ranks' variance"),
        Column("by_chance", "float64", "share", "what a field without effect would explain"),
        Column("p_value", "float64", "", "if the field had no effect; for this field alone"),
        Column("p_holm", "float64", "", "adjusted: false alarm anywhere in the table"),
        Column("p_bh", "float64", "", "adjusted: share of false alarms (Benjamini-Hochberg)"),
        Column("fastest", "str", "", "the fastest part of the orders"),
        Column("slowest", "str", "", "the slowest part of the orders"),
        Column("ratio", "float64", "", "geometric mean latency, slowest over fastest"),
        Column("ratio_low", "float64", "", "lower end of its interval"),
        Column("ratio_high", "float64", "", "upper end of its interval"),
        Column("finding", "str", "", "stands out, cannot be told apart, hint, no sign, ..."),
        Column("goes_with", "str", "", "fields beyond which it shows nothing"),
        Column("sentence", "str", "", "all this in words"),
    ),
)
