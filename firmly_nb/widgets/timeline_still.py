"""The timeline as a still picture: tables and bars of plain HTML, for pages without a front end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.recording.display import QUIET, recording_html, recordings_html

if TYPE_CHECKING:
    from firmly_nb.recording.recording import Recording, Recordings


def still_html(recordings: Recordings, shown: Recording | None) -> str:
    """Return the order that is looked at and, where there are several, a line for each.

    Parameters
    ----------
    recordings
        All that have ended.
    shown
        The one that is looked at; by default the newest.
    """
    if not len(recordings):
        return f'<div style="{QUIET}">no order yet: place an order to see its timeline</div>'
    shown = shown or recordings[-1]
    others = recordings_html(recordings) if len(recordings) > 1 else ""
    return f"<div>{recording_html(shown)}{others}</div>"
