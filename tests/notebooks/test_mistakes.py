"""Mistakes in a cell: a card of a few lines says what is wrong, where, and what to do."""

import re

import pytest

# Warnings of jupyter_client are no concern of ours.
pytestmark = pytest.mark.filterwarnings("ignore::Warning")

ANSI = re.compile(r"\x1b\[[0-9;]*m")
SHOP = 'fnb.Order.example(domain="shop.example.com")'
# The cell, and what its card says.
MISTAKES = [
    ('lab.sweep(order, count=2, rate="abc")', "rate must be orders per second", '"30/min"'),
    ("lab.sweep(order, count=0)", "count must be a whole number from 1"),
    ("lab.sweep(order, cuont=3)", "Unknown option 'cuont' for sweep(). Did you mean count?"),
    ("lab.sweep(order)", "The number of orders is missing. Pass count=20"),
    ("lab.sweep(order, count=2, budget=5)", "budget must be a fnb.Budget", "fnb.Budget(orders="),
    ("lab.place(order, timout_s=3)", "Unknown option 'timout_s'", "Did you mean timeout_s?"),
    ('lab.place("tee")', "order must be a fnb.Order, got str. Try fnb.Order.example()."),
    ('lab.place(order, card="4242")', "card must be a fnb.Card, got str. Try fnb.Card.test()."),
    (f"lab.place({SHOP})", "shop.example.com is not on the allow-list", "Nothing was sent."),
    ('lab.place(order, headers={"x-auth": "1"})', "x-auth"),
    ('fnb.connect(profile="calmm")', "Unknown profile 'calmm'. Did you mean calm?"),
    ('fnb.connect(fault="stal")', "Unknown fault 'stal'. Did you mean stall?"),
    ("fnb.connect(sed=3)", "Unknown option 'sed' for connect(). Did you mean seed?"),
    ('fnb.connect(app_idd="x")', "Unknown option 'app_idd' for connect(). Did you mean app_id?"),
    ('fnb.connect("prod")', "Unknown environment 'prod'. Use 'simulator', 'staging' or api_url."),
    ('fnb.connect("staging")', "No app id. Pass app_id=..., set FIRMLY_APP_ID"),
    ('fnb.connect(api_url="https://api.firmly.live")', "production host", "always refused"),
    ('lab.variants("nope")', "ErrorProductNotFound", "lab.products(domain)"),
    ('fnb.Item(variantid="x")', "variantid: not a field", "Did you mean variant_id?"),
    ("fnb.Order.example(quantity=0)", "items[0].quantity: must be at least 1"),
    ('fnb.Card.test("vsa")', "Unknown test card 'vsa'. Did you mean visa?"),
    ("recs[99]", "There are 2 recordings, counted from 0; got 99."),
    ('recs.explain("outcom")', "Unknown column 'outcom'. Did you mean outcome?"),
    ('recs.where(outcom="placed")', "Unknown column 'outcom' for orders. Did you mean outcome?"),
    ('recs.drift("item-aded")', "Unknown stage 'item-aded'. Did you mean item-added?"),
    ('fnb.load("runs/nope")', "No such path: 'runs/nope'. Pass a saved set, journal or folder."),
    ('recs.where(outcome="place")', "Unknown outcome 'place'. Did you mean placed?"),
    ('recs.where(order_exists="maybe")', "Unknown order_exists 'maybe'. Use yes, no, unknown."),
    ('recs.where(time_to_order_placed_ms=">5")', "has numbers, got '>5'", "recs.orders."),
    ('fnb.Timeline(recs).only = "declind"', "Unknown outcome 'declind'. Did you mean declined?"),
    ("recs + 3", "What is added must be recordings or a path, got int."),
    ("lab.plase(order)", "Unknown name 'plase' for Lab. Did you mean place?"),
    ("recs.stage", "Unknown name 'stage' for Recordings. Did you mean stages?"),
    ("recs[0].cart_veiw", "Unknown name 'cart_veiw' for Recording."),
    ("recs.charts.stagess()", "Unknown name 'stagess' for Charts. Did you mean stages?"),
    ("fnb.Ordr", "Unknown name 'Ordr' for firmly_nb. Did you mean Order?"),
    ('recs.latency("item-added")', "got 'item-added'", "see its column stage"),
    ("fnb.CartView(recs)", "recording must be a fnb.Recording, got Recordings", "recs[0]"),
    ('fnb.OrderForm("x")', "lab must be a lab, got str. Try fnb.connect()."),
    ('fnb.SweepPanel("x")', "lab must be a lab, got str. Try fnb.connect()."),
    (
        "import os; os.environ['BROWSER_PATH'] = '/nowhere'; recs.charts.stages().to_image()",
        "An image needs Chrome or Chromium",
        "chart.write_html(path)",
    ),
    ('recs.compare("runs/nope")', "No such path", "Pass a saved set, journal or folder."),
    ('recs.compare(recs, margin="abc")', "margin must be", "'abc'"),
    ('fnb.report(3, "x.html")', "recordings"),
    ('fnb.Timeline("x")', "each recording must be a fnb.Recording, got str"),
]


@pytest.fixture(scope="module")
def bench(kernel):
    kernel.run("order = fnb.Order.example(); recs = lab.sweep(order, count=2, progress=False)")
    return kernel


def card(kernel, cell):
    [error] = [m["content"] for m in kernel.messages(cell) if m["msg_type"] == "error"]
    return ANSI.sub("", "\n".join(error["traceback"]))


@pytest.mark.parametrize(("cell", "said"), [(cell, said) for cell, *said in MISTAKES])
def test_a_mistake_reads_as_a_few_lines(bench, cell, said):
    shown = card(bench, cell)
    lines = shown.splitlines()
    for text in said:
        assert text in " ".join(line.strip() for line in lines)
    assert len(lines) <= 6
    assert max(map(len, lines)) <= 80
    assert "Where: Cell In[" in shown
    assert re.search(r"^FNB\d{3}: firmly-nb explain FNB\d{3} says more, %tb shows", lines[-1])


def test_the_traceback_is_shown_on_demand(bench):
    assert "Traceback" not in card(bench, "def study():\n    lab.sweep(order, count=0)\nstudy()")
    shown = card(bench, "%tb")
    assert "Traceback (most recent call last)" in shown
    assert "firmly_nb/sweep/sweep.py" in shown
    assert "[FNB503]" in shown


def test_the_line_that_called_us_is_named_not_our_own(bench):
    shown = card(bench, "def study():\n    return lab.sweep(order, count=0)\n\nstudy()")
    assert re.search(r"Where: Cell In\[\d+\], line 2, in study\n", shown)


def test_an_error_of_someone_else_keeps_its_traceback(bench):
    assert "Traceback (most recent call last)" in card(bench, "1 / 0")
