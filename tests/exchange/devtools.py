"""A real export: an order placed by a page of Chromium, written by the code of its DevTools.

DevTools' modules are no public interface. Where they cannot be imported the test is skipped, and a
stored export stands for it (``data/chrome.har``).
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import firmly_nb as fnb
from firmly_nb.api.card import encrypt_card
from firmly_nb.api.client import FirmlyClient
from firmly_nb.api.secrets import SecretStr
from tests.servers import Handler, Server, serving

ORDER = """async ([url, token, body]) => {
  const response = await fetch(url, {method: 'POST', body: JSON.stringify(body),
    headers: {'x-firmly-authorization': token, 'content-type': 'application/json',
              accept: 'text/event-stream'}})
  const reader = response.body.getReader()
  while (!(await reader.read()).done);
}"""
READY = """async () => {
  let logs
  try {
    logs = await import(new URL('models/logs/logs.js', location.href).href)
    await import(new URL('models/har/har.js', location.href).href)
  } catch (error) { return String(error) }
  try { return Boolean(logs.NetworkLog.NetworkLog.instance()) } catch (error) { return false }
}"""
EXPORT = """async sanitize => {
  const at = path => import(new URL(path, location.href).href)
  const har = await at('models/har/har.js'), logs = await at('models/logs/logs.js')
  const progress = {createSubProgress: () => progress, canceled: false}
  let text = ''
  await har.Writer.Writer.write({write: async part => { text += part }},
    logs.NetworkLog.NetworkLog.instance().requests(), {sanitize}, progress)
  return text
}"""
COUNT = """async method => {
  const logs = await import(new URL('models/logs/logs.js', location.href).href)
  return logs.NetworkLog.NetworkLog.instance().requests()
    .filter(one => one.requestMethod === method && one.finished).length
}"""


class _Page(Handler):
    def do_GET(self):
        page = b"<!doctype html><title>a page that orders</title>"
        self.give(200, {"content-type": "text/html"}, page)


async def _secrets(simulator, card):
    async with httpx.AsyncClient(trust_env=False) as http:
        client = FirmlyClient(http, simulator.url, simulator.url)
        session = await client.browser_session(SecretStr(simulator.app_id))
        return session.access_token.get_secret_value(), encrypt_card(
            card, await client.payment_key()
        )


def prepared(simulator, order):
    """Return URL, token and body of an order, as a page of a merchant would have them."""
    # Playwright's own loop runs in this thread.
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(asyncio.run, _secrets(simulator, fnb.Card.test()))
        token, card = made.result()
    body = {
        "encrypted_card": card,
        "shipping_info": order.shipping_info.model_dump(exclude_none=True),
        "billing_info": order.shipping_info.model_dump(exclude_none=True),
        "items": [
            {"add_to_cart_ref": {"variant_id": item.variant_id}, "quantity": item.quantity}
            for item in order.items
        ],
    }
    path = f"/api/v2/payment/domains/{order.domain}/place-order?sse=true"
    return f"{simulator.url}{path}", token, body


def export(chromium, port, simulator, order, until, *, orders=1):
    """Place orders in a page with DevTools open, and return both exports: full and sanitized."""
    asked = [prepared(simulator, order) for _ in range(orders)]
    context = chromium.new_context()
    try:
        with serving(Server(_Page)) as server:
            page = context.new_page()
            page.goto(f"{server.url}/")
            session = context.new_cdp_session(page)
            target = session.send("Target.getTargetInfo")["targetInfo"]["targetId"]
            tools = context.new_page()
            where = f"127.0.0.1:{port}/devtools/page/{target}"
            tools.goto(f"devtools://devtools/bundled/devtools_app.html?ws={where}")
            # It is false while they start, and a text if there is no such module.
            if (found := until(lambda: tools.evaluate(READY))) is not True:
                pytest.skip(f"the modules of this Chromium's DevTools are others: {found}")
            # DevTools take some time until they listen to the page.
            until(
                lambda: (
                    page.evaluate("fetch('/x').then(() => true)") and tools.evaluate(COUNT, "GET")
                )
            )
            for one in asked:
                page.evaluate(ORDER, list(one))
            until(lambda: tools.evaluate(COUNT, "POST") == orders)
            full, sanitized = (tools.evaluate(EXPORT, clean) for clean in (False, True))
    finally:
        context.close()
    return json.loads(full), json.loads(sanitized), asked
