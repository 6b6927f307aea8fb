"""What an order form says of where it is, what it will do, and how an order ended."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from firmly_nb.api.errors import FirmlyError
from firmly_nb.api.secrets import redact_text
from firmly_nb.outcomes import CANCELLED, NO, NOT_SENT, PLACED, UNKNOWN, YES, outcome
from firmly_nb.recording.words import existence, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firmly_nb.lab import Lab
    from firmly_nb.recording.recording import Recording

LONGEST = 500
# One thing to do next, where the error itself does not say one.
NEXT = {
    "ErrorPaymentDeclined": "Pick another card; the test card “declined” is always declined.",
    "ErrorNotEnoughStock": "Ask for a smaller quantity or another variant.",
    "ErrorProductNotFound": "Pick the item from the list again: the catalogue may have changed.",
    "ErrorStoreUnavailable": "Try again later, or pick another merchant.",
    "ErrorMissingRequiredParameters": "Fill in the field that it names.",
    "ErrorCountryNotSupported": "Ship to a country that the merchant delivers to.",
}
CHANGE_AND_AGAIN = "Change what it names, and place again."
LOOK = "“Look at the cart”"
MAY_BE_TWICE = "Placing it again may be twice."
CAPTCHA = "Type the captcha token that this merchant asks for."


def place_words(lab: Lab) -> dict[str, str]:
    """Return where a lab orders: ``name``, ``label`` and what else is to be known of it."""
    environment, simulator = lab.environment, lab.simulator
    host = urlsplit(environment.api_url).netloc
    if simulator is not None:
        made = f"{simulator.settings.profile} · seed {simulator.settings.seed}"
        text = f"a simulator on this machine · {made} · nothing here is real"
    elif environment.name == "staging":
        text = f"{host} · it also reaches live merchants, so only named ones may be ordered from"
    else:
        text = f"{host} · an address of your own, not production; only named merchants"
    return {"name": environment.name, "label": environment.name.upper(), "text": text}


def result_words(recording: Recording) -> dict[str, Any]:
    """Return how an order ended: mark, tone, headline, facts and one suggestion.

    With a failure the facts are the milestone that was reached, the API's name of the error and
    its words.
    """
    look, error = outcome(recording.outcome), recording.error
    facts: list[list[str]] = []
    if recording.outcome != PLACED:
        row = recording.orders.iloc[0]
        reached = "none" if row.isna()["last_milestone"] else str(row["last_milestone"])
        facts.append(["Reached", reached])
        if error is not None and error.error:
            facts.append(["Error", error.error[:LONGEST]])
        if error is not None and error.description:
            facts.append(["It says", error.description[:LONGEST]])
    headline = verdict(recording)
    if error is not None and error.description:
        # The error's own words and its advice stand below, each on a line of its own.
        headline = headline.partition(_capital(error.description))[0].strip()
    return {
        "outcome": look.name,
        "order_exists": recording.order_exists,
        "tone": look.tone,
        "mark": look.mark,
        "headline": headline,
        "facts": facts,
        "next": suggestion(recording),
        "unsure": recording.order_exists == UNKNOWN,
        "recording_id": recording.recording_id,
        "warnings": [str(warning)[:LONGEST] for warning in recording.warnings[:3]],
    }


def suggestion(recording: Recording) -> str:
    """Return the one thing to do next, or nothing if the order exists."""
    error = recording.error
    name = error.error if error else ""
    if recording.order_exists == YES:
        return ""
    captcha = CAPTCHA if needs_captcha(recording) else ""
    if recording.order_exists == UNKNOWN:
        return f"{existence(recording, LOOK)} {MAY_BE_TWICE} {captcha}".strip()
    if captcha:
        return captcha
    by_name = NEXT.get(name) or getattr(error, "advice", "")
    return str(by_name) or CHANGE_AND_AGAIN


def failure_words(error: BaseException | None) -> dict[str, Any]:
    """Return what to show where there is no order of which to tell, since nothing was sent.

    Without an error it was cancelled before.
    """
    if error is None:
        text = "Cancelled before anything was sent. Nothing was ordered."
        return _not_sent("quiet", outcome(CANCELLED).mark, text, [], "")
    if isinstance(error, FirmlyError):
        facts = [["Error", error.error], ["It says", error.description or "nothing more"]]
        advice = error.advice or "Nothing was sent. Try again."
    else:
        facts = [["Error", type(error).__name__], ["It says", safe_text(error)]]
        advice = ""
    return _not_sent("bad", "✕", "Nothing was ordered: it could not be sent.", facts, advice)


def _not_sent(
    tone: str, mark: str, headline: str, facts: list[list[str]], advice: str
) -> dict[str, Any]:
    return {
        "outcome": NOT_SENT.name,
        "order_exists": NO,
        "tone": tone,
        "mark": mark,
        "headline": headline,
        "facts": facts,
        "next": advice,
        "unsure": False,
        "recording_id": "",
        "warnings": [],
    }


def needs_captcha(recording: Recording) -> bool:
    """Whether an order showed that its merchant wants a captcha token (firmly-api.md, section 8).

    Either the cart says so, where the flag is a text, or the refusal names it.
    """
    error = recording.error
    if error is not None and "captcha" in f"{error.error} {error.description}".lower():
        return True
    shop = (recording.cart or {}).get("shop_properties")
    asked = shop.get("captcha") if isinstance(shop, dict) else None
    flag = asked.get("captcha_on_place_order") if isinstance(asked, dict) else None
    return str(flag).lower() == "true"


def counts_words(recordings: Iterable[Recording]) -> str:
    """Return how many orders ended how.

    Examples
    --------
    >>> counts_words([])
    ''
    """
    counts = Counter(recording.outcome for recording in recordings)
    return ", ".join(f"{n} {outcome(name).word}" for name, n in counts.most_common())


def safe_text(error: BaseException) -> str:
    """Return an error's words, bounded and without anything that looks like a secret."""
    return redact_text(str(error))[:LONGEST] or type(error).__name__


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
