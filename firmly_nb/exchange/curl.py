"""The request of an order as a command for a terminal.

A recording has no secret and no address, and the simulator it was made with may be gone, so the
command reads secrets and hosts from variables of the shell. It sends no request id: it is another
order. It is text for ``sh``; what merchants and users wrote is quoted.
"""

from __future__ import annotations

import shlex
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from firmly_nb.api.event_names import COMPLETE_ORDER
from firmly_nb.api.models import Address
from firmly_nb.environments import staging

if TYPE_CHECKING:
    from firmly_nb.recorder.records import Start

# What the command reads from the shell, and what to put there.
VARIABLES = {
    "FIRMLY_CARD_URL": "base URL of the card API, such as http://127.0.0.1:8000",
    "FIRMLY_TOKEN": "access token of a browser session",
    "ENCRYPTED_CARD": "card, encrypted with the key of /api/v1/payment/key",
}


def curl(start: Start) -> str:
    """Write the request of an order as a curl command.

    Parameters
    ----------
    start
        The start of its recording.

    Returns
    -------
    str
        Comments that name the variables to set, and the command. The address is an example: a
        recording has none.
    """
    is_staging = start.environment == "staging"
    base = shlex.quote(staging().card_url) if is_staging else '"$FIRMLY_CARD_URL"'
    path, query = order_path(start)
    accept = "text/event-stream" if start.sse else "application/json"
    used = [
        *([] if is_staging else ["FIRMLY_CARD_URL"]),
        "FIRMLY_TOKEN",
        "ENCRYPTED_CARD",
    ]
    lines = [
        "# This command places an order. Set these variables before:"
        if not start.flow
        else "# This command orders the cart of the token's device. Set these variables before:",
        *(f"#   {name}: {VARIABLES[name]}" for name in used),
        "# The address is an example. If the merchant asks for a captcha, add captcha_token.",
        f"curl --no-buffer --max-time {start.timeout_s:g} \\",
        f"  --request POST {base}{shlex.quote(path + query)} \\",
        '  --header "x-firmly-authorization: $FIRMLY_TOKEN" \\',
        f"  --header {shlex.quote(f'Accept: {accept}')} \\",
        "  --header 'Accept-Encoding: identity' \\",
        "  --header 'Content-Type: application/json' \\",
        f"  --data-binary {_body(start)}",
    ]
    return "\n".join(lines)


def order_path(start: Start) -> tuple[str, str]:
    """Return path and query of the request that orders."""
    endpoint = COMPLETE_ORDER if start.flow else "place-order"
    path = f"/api/v2/payment/domains/{quote(start.domain, safe='')}/{endpoint}"
    return path, "?sse=true" if start.sse else ""


def posted(start: Start, card: str, address: dict[str, Any]) -> dict[str, Any]:
    """Return the body of the request, with what stands for card and address."""
    body: dict[str, Any] = {
        "encrypted_card": card,
        "billing_info": address,
    }
    if not start.flow:
        body["shipping_info"] = address
        body["items"] = [
            {
                "add_to_cart_ref": {k: v for k, v in item.items() if k != "quantity"},
                "quantity": item.get("quantity", 1),
            }
            for item in start.items
        ]
    return body


def _body(start: Start) -> str:
    """Return the body, quoted for the shell, with a variable where the card goes."""
    # A text that nobody can have written, so that only our own place becomes a variable.
    card = uuid.uuid4().hex
    body = posted(start, card, Address.example().model_dump(exclude_none=True))
    written = shlex.quote(orjson.dumps(body).decode())
    return written.replace(card, "'\"$ENCRYPTED_CARD\"'")
