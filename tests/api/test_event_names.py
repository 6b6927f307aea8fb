"""Names of events: which tell of a success, and which of none, in any spelling."""

from __future__ import annotations

import pytest

from firmly_nb.api.event_names import says_otherwise

NO_SUCCESS = (
    *("order-failed", "ORDER_CANCELLED", "order-not-placed", "orderNotPlaced", "ORDER_NOT_PLACED"),
    *("Not placed", "NO_ORDER", "no-order", "BLOCKED", "orderBlocked", "storniert", "unpaid"),
    *("requires_action", "ORDER_PENDING", "ORDER_ON_HOLD", "order.held", "HELD", "in_review"),
    *("order_discarded", "paymentBounced", "insufficient_funds", "order-queued", "draft-order"),
)
SUCCESS = (
    *("order-placed", "ORDER_PLACED", "orderPlaced", "receipt", "order.confirmed"),
    # They only begin as a word that says no.
    *("notification", "ORDER_NOTICE", "orderNote", "NOTIFIED", "NONCE", "NOVA_ORDER_PLACED"),
    *("NOW", "Norway", "BLOCKCHAIN_RECEIPT", "blocks", "HELDER_ORDER", "note"),
    *("payment_intent.succeeded", "order-overdrafted", "skip-the-queue"),
)


@pytest.mark.parametrize("name", NO_SUCCESS)
def test_a_name_says_that_there_is_no_success_or_none_yet(name):
    assert says_otherwise(name)


@pytest.mark.parametrize("name", SUCCESS)
def test_a_name_that_only_begins_so_says_nothing_against_it(name):
    assert not says_otherwise(name)
