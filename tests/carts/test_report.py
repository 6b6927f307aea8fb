"""What the checks found is read at a glance, and a merchant's text stays text."""

from __future__ import annotations

from firmly_nb.carts.report import checks_html, checks_text, run_checks


def faulty(build, sku="A"):
    order = build.recording([build.line(sku)])
    for _, data in order[2:]:
        cart = data.get("cart") or data["order"]
        cart["line_items"][0]["quantity"] = 0
    return order


def test_a_clean_report_is_its_headline(build):
    report = run_checks(build.events(build.recording()))
    assert repr(report) == report.headline() == "✓ 19 checks"
    assert "<table" not in report._repr_html_()
    assert report.headline() in report._repr_html_()


def test_a_report_says_each_finding_in_a_sentence(build):
    """A report in a cell was shown as a tuple of two tables, which nobody could read."""
    report = run_checks(build.events(faulty(build)), only=["quantity"])
    assert repr(report).splitlines() == [
        "✗ 1 of 1 checks: 2 errors",
        "  error  quantity  Line item A has quantity 0. (shipping-updated)",
        "  error  quantity  Line item A has quantity 0. (order-placed)",
    ]
    html = report._repr_html_()
    assert html.count("Line item A has quantity 0.") == 2
    assert "shipping-updated" in html


def test_findings_of_several_orders_name_their_order(build):
    report = run_checks(build.events(faulty(build), faulty(build)), only=["quantity"])
    assert "r2 · order-placed" in checks_text(report)
    assert "r2 · order-placed" in checks_html(report)


def test_many_findings_are_counted_not_shown(build):
    report = run_checks(build.events(*[faulty(build)] * 30), only=["quantity"])
    for shown in (checks_text(report), checks_html(report)):
        assert shown.count("has quantity 0") == 50
        assert "… and 10 more findings" in shown


def test_a_merchants_text_is_shown_escaped(build):
    report = run_checks(build.events(faulty(build, "<script>\x1b[31m")), only=["quantity"])
    assert "<script" not in checks_html(report)
    assert "&lt;script&gt;" in checks_html(report)
    assert "\x1b" not in checks_text(report)


def test_no_cart_is_said(build):
    assert repr(run_checks(build.events())) == "no cart to check"
