"""On which days something can be delivered (firmly-api.md, section 6.4.4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from firmly_nb.sim.cart_json import money

if TYPE_CHECKING:
    from firmly_nb.sim.cart_json import Json

DAYS = 5
SLOTS = (("08:00", "12:00", "Morning"), ("13:00", "17:00", "Afternoon"))
WINDOW_PRICE = 995


def availability(shipment_id: str, currency: str) -> Json:
    """Return the next days with their time slots, and one delivery window over all of them."""
    today = datetime.now(UTC).date()
    days = [(today + timedelta(days=n)).isoformat() for n in range(2, 2 + DAYS)]
    return {
        "shipment_id": shipment_id,
        "fulfillment_type": "SCHEDULED_DELIVERY",
        "available_dates": [_day(day) for day in days],
        "delivery_windows": [
            {
                "window_id": "week",
                "name": "Any of these days",
                "description": "We choose the day",
                "price": money(WINDOW_PRICE, currency),
                "date_range": {"start_date": days[0], "end_date": days[-1]},
            }
        ],
    }


def _day(day: str) -> Json:
    return {
        "date": day,
        "description": datetime.fromisoformat(day).strftime("%A"),
        "time_slots": [
            {
                "slot_id": f"{day}-{n}",
                "start_time": start,
                "end_time": end,
                "description": name,
                "available": True,
            }
            for n, (start, end, name) in enumerate(SLOTS)
        ],
    }


def chosen_location(location_id: str) -> dict[str, Any]:
    """Return how a shipment tells of the store that it is collected from."""
    return {"selected_location": {"location_id": location_id}}
