"""What ``lab.calibrate()`` measures, says and leaves behind."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import ssl
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from firmly_nb.recorder.calibration import (
    ERRORS,
    SUMMARY,
    Calibration,
    CalibrationError,
    CalibrationRun,
    Pattern,
    Sender,
    calibrate,
    calibrate_async,
)
from firmly_nb.recorder.calibration_sender import gaps_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def plain() -> Calibration:
    return calibrate(events=40)


def made_up(idle: list[float], busy: list[float]) -> Calibration:
    rows = [
        {"condition": condition, "n": n, "error_ms": error, "inside": True, "clock": "kernel"}
        for condition, errors in {"idle": idle, "busy": busy}.items()
        for n, error in enumerate(errors, start=1)
    ]
    return Calibration.from_rows(rows)


def test_every_event_of_both_conditions_is_there(plain: Calibration) -> None:
    assert plain.table["condition"].tolist() == ["idle", "busy"]
    assert plain.table["events"].tolist() == [40, 40]
    assert plain.errors.groupby("condition", observed=True)["n"].apply(list).tolist() == [
        list(range(1, 41)),
        list(range(1, 41)),
    ]


def test_tables_are_as_declared(plain: Calibration) -> None:
    assert plain.errors.dtypes.astype(str).to_dict() == {c.name: c.dtype for c in ERRORS.columns}
    assert list(plain.table.columns) == SUMMARY.names


def test_no_event_is_stamped_before_it_was_sent(plain: Calibration) -> None:
    kernel = plain.errors[plain.errors["clock"] == "kernel"]
    assert (kernel["error_ms"] > 0).all()


def test_errors_are_those_of_a_recorder_and_not_of_a_busy_notebook(plain: Calibration) -> None:
    # A recorder in the notebook would be off by much more. What the sender itself was late by, on a
    # machine that is shared, is no error of the recorder.
    own = plain.table["own_median_ms"].fillna(plain.table["median_ms"])
    assert own.max() < 5
    assert plain.table["inside_share"].min() > 0.9


def test_the_senders_own_delay_is_told_apart_on_linux(plain: Calibration) -> None:
    if sys.platform != "linux":
        pytest.skip("other kernels do not tell")
    known = plain.errors.dropna(subset="own_error_us")
    assert len(known) > 0
    assert (known["own_error_us"] <= known["error_ms"] * 1000).all()


def test_calibration_works_over_tls() -> None:
    calibration = calibrate(events=5, tls=True)
    assert calibration.tls
    assert calibration.table["events"].tolist() == [5, 5]
    assert "TLS" in repr(calibration)


def test_the_key_of_the_certificate_is_the_users_alone_and_gone_once_the_sender_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    modes = []
    start = Sender.start

    def look(chain: Path) -> None:
        assert b"PRIVATE KEY" in chain.read_bytes()
        modes.append(stat.S_IMODE(chain.stat().st_mode))

    async def look_and_start(sender: Sender, certificate: Path | None) -> None:
        assert certificate
        look(certificate)
        await start(sender, certificate)

    monkeypatch.setattr(Sender, "start", look_and_start)

    def contents() -> list[bytes]:
        return [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]

    async def run() -> list[bytes]:
        async with CalibrationRun(tls=True):
            return contents()

    mask = os.umask(0)
    try:
        there = asyncio.run(run())
    finally:
        os.umask(mask)
    assert modes == [0o600]
    assert [content for content in there if b"CERTIFICATE" in content]
    assert not [content for content in there if b"PRIVATE KEY" in content]
    assert list(tmp_path.iterdir()) == []


def test_the_certificate_holds_where_python_verifies_strictly_as_it_does_from_3_13_on() -> None:
    async def connect() -> str | None:
        async with CalibrationRun(tls=True) as run:
            trusting = ssl.create_default_context(cafile=run.trusted)
            trusting.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
            _, writer = await asyncio.open_connection("127.0.0.1", run.sender.port, ssl=trusting)
            try:
                secured: ssl.SSLObject = writer.get_extra_info("ssl_object")
                return secured.version()
            finally:
                writer.close()
                await writer.wait_closed()

    assert asyncio.run(connect()) == "TLSv1.3"


def test_the_async_face_does_the_same_and_lets_others_run() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    async def both() -> Calibration:
        counting = asyncio.create_task(count())
        result = await calibrate_async(events=5)
        counting.cancel()
        return result

    assert asyncio.run(both()).table["events"].tolist() == [5, 5]
    assert turns > 1


@pytest.mark.parametrize("face", ["waited for", "awaited"])
def test_whoever_interrupts_it_leaves_no_process_behind(
    face: str,
    ctrl_c: Callable[[], None],
    gone: Callable[[int], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: list[CalibrationRun] = []

    class Seen(CalibrationRun):
        async def start(self) -> None:
            runs.append(self)
            await super().start()

    def interrupted(_: object) -> Iterator[float]:
        if face == "awaited":
            raise asyncio.CancelledError
        ctrl_c()
        yield 0.0

    monkeypatch.setattr("firmly_nb.recorder.calibration.CalibrationRun", Seen)
    monkeypatch.setattr("firmly_nb.recorder.calibration.busy_steps", interrupted)
    if face == "awaited":
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(calibrate_async(events=1000))
    else:
        with pytest.raises(KeyboardInterrupt):
            calibrate(events=1000)
    [run] = runs
    assert run.worker
    assert run.sender.process
    assert gone(run.sender.process.pid)
    assert run.worker.pid is None


def test_nothing_is_left_among_the_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    calibrate(events=1)
    assert list(tmp_path.iterdir()) == []


def test_at_least_one_event_is_needed() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        calibrate(events=0)


def test_a_sender_that_dies_is_an_error_that_says_how_far_it_came() -> None:
    async def run() -> None:
        async with CalibrationRun() as run:
            task = asyncio.create_task(run.measure("idle", Pattern(10_000)))
            await asyncio.sleep(0.2)
            assert run.sender.process
            run.sender.process.kill()
            await task

    with pytest.raises(
        CalibrationError, match=r"^Only \d+ of 10000 events arrived .*\(transport_error"
    ):
        asyncio.run(run())


def test_the_sender_ends_with_its_input() -> None:
    command = [sys.executable, "-m", "firmly_nb.recorder.calibration_sender"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sender:
        assert sender.stdin
        assert sender.stdout
        sender.stdin.write(b'{"certificate": null}\n')
        sender.stdin.flush()
        assert json.loads(sender.stdout.readline())["port"] > 0
        sender.stdin.close()
        assert sender.wait(250) == 0


def test_the_pattern_is_the_same_for_the_same_seed_and_within_its_bounds() -> None:
    gaps = gaps_s(500, 7, 0.5, 30.0)
    assert gaps == gaps_s(500, 7, 0.5, 30.0)
    assert gaps != gaps_s(500, 8, 0.5, 30.0)
    assert 0.0005 <= min(gaps) < 0.0006
    assert 0.028 < max(gaps) <= 0.030


def test_the_sentence_is_that_of_the_worse_condition() -> None:
    calibration = made_up([0.01] * 10, [0.05] * 9 + [0.2])
    assert calibration.sentence == (
        "On this machine, now, an arrival is off by 50.0\u00a0µs (median), 187\u00a0µs (p99)."
    )


def measured(condition: str, errors: list[float], **changes: object) -> list[dict[str, object]]:
    return [
        {"condition": condition, "n": n, "error_ms": error, "inside": True, "clock": "kernel"}
        | changes
        for n, error in enumerate(errors, start=1)
    ]


def test_each_column_of_the_summary_is_its_own() -> None:
    """Quantiles of type 7: the 99th percentile of 1 to 101 is 100."""
    errors = [float(n) for n in range(101, 0, -1)]
    rows = measured("busy", errors) + measured("idle", [5.0, 9.0], clock="user")
    for n, row in enumerate(rows[:101], start=1):
        row |= {"own_error_us": 10.0 * n, "inside": n % 2 == 0, "clock": ["user", "kernel"][n % 2]}
    busy, idle = Calibration.from_rows(rows).table.to_dict("records")
    assert busy == {
        "condition": "busy",
        "events": 101,
        "median_ms": 51.0,
        "p99_ms": 100.0,
        "max_ms": 101.0,
        "own_median_ms": pytest.approx(0.51),
        "own_p99_ms": pytest.approx(1.0),
        "inside_share": pytest.approx(50 / 101),
        "clock": "kernel and user",
    }
    assert (idle["condition"], idle["events"], idle["clock"]) == ("idle", 2, "user")
    assert math.isnan(idle["own_median_ms"])


@pytest.mark.parametrize("worse", ["idle", "busy"])
def test_the_worse_condition_is_that_of_the_larger_p99_and_not_of_the_larger_median(
    worse: str,
) -> None:
    better = {"idle": "busy", "busy": "idle"}[worse]
    rows = measured(better, [0.3] * 100) + measured(worse, [0.1] * 50 + [4.0] * 50)
    assert "4.00\u00a0ms (p99)" in Calibration.from_rows(rows).sentence


@pytest.mark.parametrize(
    ("error_ms", "said"),
    [(0.009, "9.00 µs"), (0.0149, "14.9 µs"), (0.9994, "999 µs"), (1.006, "1.01 ms"),
     (12.3456, "12.3 ms"), (0.0, "0.00 µs")],
)  # fmt: skip
def test_an_error_is_said_in_microseconds_below_a_millisecond(error_ms: float, said: str) -> None:
    sentence = Calibration.from_rows(measured("idle", [error_ms])).sentence
    assert f"off by {said} (median), {said} (p99)." in sentence.replace("\u00a0", " ")


def test_the_senders_own_delay_is_said_where_it_is_known() -> None:
    rows = measured("idle", [0.5] * 3, own_error_us=7.0)
    assert Calibration.from_rows(rows).sentence == (
        "On this machine, now, an arrival is off by 500\u00a0µs (median), 500\u00a0µs "
        "(p99); without the local sender's own delay 7.00\u00a0µs and 7.00\u00a0µs."
    )


def test_what_was_not_measured_is_neither_together_nor_numbered() -> None:
    calibration = Calibration.from_rows(measured("idle", [0.5]))
    assert calibration.errors[["coalesced", "read_no"]].to_numpy().tolist() == [[False, 0]]
    assert not calibration.tls
    given = Calibration.from_rows(measured("idle", [0.5], coalesced=True, read_no=4), tls=True)
    assert given.errors[["coalesced", "read_no"]].to_numpy().tolist() == [[True, 4]]
    assert given.tls


def test_the_picture_has_a_bar_where_the_errors_are() -> None:
    html = made_up([0.02] * 3 + [2.0], [0.5])._repr_html_()
    assert re.findall(r'title="([^"]+)"', html) == ["75.0%", "25.0%", "100%"]
    assert "10 µs" in html
    assert "1\u202f000 µs" in html


def test_the_picture_needs_no_script_no_style_sheet_and_no_image() -> None:
    html = made_up([0.02], [0.5])._repr_html_()
    assert not re.search(r"<(script|style|img|svg)", html)


def test_errors_beyond_any_scale_still_make_a_picture() -> None:
    html = made_up([0.0, -0.1, 1e-9], [1e6, 123.0])._repr_html_()
    assert html.count("title=") >= 3


def test_text_shows_sentence_and_table() -> None:
    text = repr(made_up([0.02], [0.5]))
    assert text.startswith("On this machine, now")
    assert "idle" in text
    assert "20.0" in text


def test_a_calibration_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        made_up([0.02], [0.5]).tls = True  # type: ignore[misc]
