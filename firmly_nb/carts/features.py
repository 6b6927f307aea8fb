"""What is known of each order besides its times: the candidates for explaining a slow one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firmly_nb.carts.tables import discounts, snapshots

if TYPE_CHECKING:
    import pandas as pd

FROM_ORDERS = ["domain", "environment", "run_id", "connection", "n_items", "quantity", "currency"]
FROM_CARTS = [
    "platform_id",
    "shipping_method",
    "shipping_country",
    "shipping_region",
    "n_shipments",
]
KEPT = ["outcome", "order_latency_ms", "time_to_order_placed_ms"]


def features(events: pd.DataFrame, orders: pd.DataFrame) -> pd.DataFrame:
    """Collect what is known of each order, one row an order.

    Parameters
    ----------
    events, orders
        The tables of the recordings; both need ``recording_id``. Of the columns of ``orders``
        those which are there are used.

    Returns
    -------
    pandas.DataFrame
        ``recording_id``, the outcome and the latencies as they are, and the candidates: who sold
        (``domain``, ``platform_id``), what (``n_items``, ``quantity``, ``total`` in whole units of
        the currency, if there is only one currency), how it is sent (``shipping_method``,
        ``n_shipments``, ...), whether there was a discount or a notice (of the last snapshot),
        when (``minutes_since_first``), how (``connection``, ``environment``, ``run_id``), and one
        ``tag_...`` for each tag.

    Examples
    --------
    >>> import pandas as pd
    >>> events = pd.DataFrame({"recording_id": ["r1"], "seq": [1], "event": ["item-added"],
    ...     "data": [{"cart": {"platform_id": "magento", "coupons": ["TEN"]}}]})
    >>> orders = pd.DataFrame({"recording_id": ["r1"], "n_items": [2], "tags": [{"day": "mon"}]})
    >>> features(events, orders)[["platform_id", "has_discount", "tag_day"]].to_dict("records")
    [{'platform_id': 'magento', 'has_discount': True, 'tag_day': 'mon'}]
    """
    plain = [name for name in ("recording_id", *KEPT, *FROM_ORDERS) if name in orders]
    table = orders[plain].reset_index(drop=True)
    if "started_at" in orders:
        since = (orders["started_at"] - orders["started_at"].min()).reset_index(drop=True)
        table["minutes_since_first"] = since.dt.total_seconds() / 60
    table = table.merge(_of_carts(events), on="recording_id", how="left")
    tags = _of_tags(orders)
    return table.assign(**{name: tags[name] for name in tags})


def _of_carts(events: pd.DataFrame) -> pd.DataFrame:
    from firmly_nb.api.money import from_minor

    carts = snapshots(events).sort_values(["recording_id", "seq"], kind="stable")
    last = carts.drop_duplicates("recording_id", keep="last")
    known = last[["recording_id", *FROM_CARTS]].assign(has_notice=last["n_notices"] > 0)
    with_discount = set(discounts(events)["recording_id"].tolist())
    known["has_discount"] = known["recording_id"].isin(with_discount)
    currencies = last["currency"].dropna().unique()
    if len(currencies) == 1:
        scale = float(from_minor(1, str(currencies[0])))
        known["total"] = last["total_minor"].astype("Float64") * scale
    return known


def _of_tags(orders: pd.DataFrame) -> dict[str, list[Any]]:
    sets = orders["tags"].tolist() if "tags" in orders else []
    tags = [each if isinstance(each, dict) else {} for each in sets]
    names = dict.fromkeys(name for each in tags for name in each)
    return {f"tag_{name}": [each.get(name) for each in tags] for name in names}
