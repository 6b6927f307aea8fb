"""What a saved set holds of persons: masked, unless it is asked for otherwise."""

from __future__ import annotations

import pytest

import firmly_nb as fnb
from firmly_nb.recorder.records import End
from tests.store.stored_recordings import (
    ADDRESS,
    MASKED,
    cart,
    event,
    start,
)


def test_addresses_are_masked_unless_asked_for(tmp_path):
    made = fnb.Recordings(
        [
            fnb.Recording(
                [
                    start(),
                    event(1, "item-added", cart(shipping_info=ADDRESS), raw="Ada"),
                    End("placed", 5, confirmation={"billing_info": ADDRESS}),
                ]
            )
        ]
    )
    made.save(tmp_path / "masked")
    [rec] = fnb.load(tmp_path / "masked")
    _, shown, end = rec.records()
    assert shown.data["cart"]["shipping_info"] == MASKED
    assert (shown.raw, end.confirmation) == (None, {"billing_info": MASKED})
    made.save(tmp_path / "kept", keep_personal=True)
    assert fnb.load(tmp_path / "kept")[0].records() == made[0].records()


@pytest.mark.parametrize("value", ["Ada", 7, True, ["x"], {"a": 1}, 0.5, -1])
def test_whatever_a_personal_field_holds_is_masked(tmp_path, value):
    data = {"cart": {"city": "Seattle", "first_name": value, "email": "", "phone": None}}
    fnb.Recordings([fnb.Recording([start(), event(1, "x", data)])]).save(tmp_path)
    [rec] = fnb.load(tmp_path)
    expected = {"city": "Seattle", "first_name": "***", "email": "", "phone": None}
    assert rec.events["data"][0] == {"cart": expected}
