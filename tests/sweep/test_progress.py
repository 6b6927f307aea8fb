"""How far a sweep is, for a log file, a terminal and a notebook."""

import io

from firmly_nb.sweep.progress import Lines, NotebookBar, Progress, TerminalBar, bar_html, words

HALF = Progress("running", 10, 5, 1, 4, {"placed": 3, "error_event": 1}, not_started=1)
DONE = Progress("stopped", 10, 5, 0, 5, {"placed": 5}, message="the budget is used up")


def test_what_is_left_is_said_beside_what_is_done():
    assert words(HALF) == "3 placed, 1 error event, 1 not sent, 1 in flight, 4 left"
    assert words(DONE) == "5 placed, 5 left; the budget is used up"


def test_before_the_first_order_it_says_that_it_prepares():
    assert words(Progress("preparing", 10)) == "preparing, 10 left"


def test_what_is_to_be_known_of_the_plan_is_said_once_and_stays_in_the_notebook():
    noted = Progress("running", 10, notes=("<b> sells no tee",))
    out = io.StringIO()
    lines = Lines(out)
    lines.show(noted)
    lines.show(noted)
    assert out.getvalue().splitlines()[0] == "<b> sells no tee"
    assert out.getvalue().count("sells no tee") == 1
    assert "<div>&lt;b&gt; sells no tee</div>" in bar_html(noted)


def test_a_log_file_gets_a_line_now_and_then_and_one_at_the_end():
    out = io.StringIO()
    lines = Lines(out)
    for _ in range(50):
        lines.show(HALF)
    lines.show(DONE)
    assert out.getvalue().splitlines() == [f"5/10 {words(HALF)}", f"5/10 {words(DONE)}"]


def test_a_terminal_gets_a_bar(capsys):
    bar = TerminalBar()
    bar.show(HALF)
    bar.show(DONE)
    shown = capsys.readouterr().err
    assert "50%" in shown
    assert "5 left; the budget is used up" in shown


def test_a_notebook_gets_html_without_script_or_widget(monkeypatch):
    shown = []

    class Handle:
        def update(self, html):
            shown.append(html.data)

    def display(html, **options):
        shown.append(html.data)
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    bar = NotebookBar()
    for progress in (HALF, HALF, DONE):
        bar.show(progress)
    assert len(shown) == 2, "what has not changed is not sent again"
    assert shown[-1] == bar_html(DONE)
    assert 'role="progressbar"' in shown[-1]
    assert "<script" not in shown[-1]


def test_what_a_merchant_says_cannot_become_markup():
    told = Progress("stopped", 2, message='<img src=x onerror="alert(1)">')
    assert "<img" not in bar_html(told)
