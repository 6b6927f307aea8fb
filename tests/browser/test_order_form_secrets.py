"""What is typed into an order form in a real JupyterLab, searched for wherever it could be."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from tests.browser.order_forms import last_run, place

CANARY = {"number": "378282246310005", "cvv": "8317", "captcha": "captcha-token-Zq7kP0vX"}
# A person who was typed; addresses are kept only in memory.
PERSON = {
    "First name": "Xanthippe",
    "Last name": "Quux-Xanthippe",
    "Street": "77 Xanthippe Wharf",
    "Company": "Xanthippe and Daughters",
    "E-mail": "xanthippe@example.test",
    "Phone": "2065559137",
}
WATCHED = """\
import logging, firmly_nb as fnb
logging.getLogger("Comm").setLevel(logging.DEBUG)
logging.getLogger("Comm").addHandler(logging.FileHandler("comm.log"))
%xmode Verbose
lab = fnb.connect(profile="instant")
form = fnb.OrderForm(lab)
form"""


def type_secrets(shown):
    """Type what leaves the page once, at the press."""
    shown.get_by_label("Card number").fill(f" {CANARY['number'][:4]} {CANARY['number'][4:]}")
    shown.get_by_label("CVV").fill(CANARY["cvv"])
    shown.get_by_label("Captcha token").fill(CANARY["captcha"])


def type_person(shown):
    """Type what is in memory alone, in the page and in the kernel."""
    shown.get_by_label("Card", exact=True).select_option("typed")
    for label, text in (("Month", "11"), ("Year", "2031"), ("Name on the card", "A Xanthippe")):
        shown.get_by_label(label).fill(text)
    shown.locator("summary", has_text="Ship to").click()
    for label, text in PERSON.items():
        shown.get_by_label(label).first.fill(text)
    shown.get_by_role("button", name="Show code").click()
    expect(shown.get_by_label("Python code")).to_contain_text(f'phone="{PERSON["Phone"]}"')


def test_what_is_typed_is_where_it_may_be_and_nowhere_else(notebook, jupyter, widget_log, artefact):
    bench = notebook(WATCHED, "form.save_preset('typed'); print(form, vars(form))")
    shown = bench.run_cell(0)
    type_person(shown)
    expect(shown.locator(".why")).to_contain_text("Card number: must be typed")
    shown.get_by_label("Card number").fill("3782")
    shown.get_by_label("CVV").focus()
    expect(shown.get_by_text("must be 12 to 19 digits").first).to_be_visible()
    shown.locator("summary", has_text="Captcha").click()
    type_secrets(shown)
    expect(place(shown)).to_have_attribute("aria-disabled", "false")
    # While they stand in the fields they are in the page alone.
    typed = json.dumps(bench.save())
    assert not [name for name, secret in CANARY.items() if secret in typed]
    place(shown).click()
    expect(last_run(shown)).to_contain_text("placed order ")
    expect(shown.locator(".why")).to_contain_text("Card number: must be typed; it was kept nowhere")
    for label in ("Card number", "CVV", "Captcha token"):
        expect(shown.get_by_label(label)).to_have_value("")
    # Again, refused by the guard or by the shop: the other ways that a press can go.
    type_secrets(shown)
    shown.get_by_label("Quantity of item 1").fill("3")
    place(shown).click()
    expect(place(shown)).to_have_attribute("aria-disabled", "true")
    bench.run_cell(1)
    artefact("placed", shown)

    written = everything_written(bench, jupyter, widget_log)
    expect_no_secret(written)
    expect_no_person(written)

    # A page that is loaded again has what was typed all the same, from the kernel.
    bench.reload()
    shown = bench.output(0)
    expect(shown.get_by_label("Phone").first).to_have_value(PERSON["Phone"])
    expect(shown.get_by_label("Name on the card")).to_have_value("A Xanthippe")
    expect(shown.get_by_label("Python code")).to_contain_text('email="xanthippe@example.test"')
    assert "xanthippe" not in json.dumps(bench.save()).lower()


def everything_written(bench, jupyter, widget_log):
    """Return the page, the notebook and every file below the server's home, by name."""
    written = {"page": bench.dom(), "notebook": json.dumps(bench.save()), "log": widget_log()}
    for path in jupyter.home.rglob("*"):
        if path.is_file() and path.stat().st_size < 20_000_000:
            written[str(path.relative_to(jupyter.home))] = path.read_text("utf-8", "replace")
    assert "handle_msg" in written["notebooks/comm.log"], "the log that tells most was on"
    assert any(name.startswith("firmly/presets/") for name in written)
    assert any(name.startswith("firmly/journals/") for name in written)
    assert "OrderForm(" in written["notebook"]
    return written


def expect_no_secret(written):
    for name in ("number", "captcha"):
        found = [where for where, text in written.items() if CANARY[name] in text]
        assert found == [], f"the {name} is in {found}"
    # Four digits are looked for where no other number can hold them by chance.
    for text in (f'"{CANARY["cvv"]}"', f"'{CANARY['cvv']}'", f">{CANARY['cvv']}<"):
        assert [where for where, all_of_it in written.items() if text in all_of_it] == []


def expect_no_person(written):
    """The person is in the page, and in the preset that was asked for."""
    for text in ("xanthippe", PERSON["Phone"]):
        found = {where for where, all_of_it in written.items() if text in all_of_it.lower()}
        presets = {where for where in found if where.startswith("firmly/presets/")}
        assert presets
        assert found - presets == {"page"}
