"""Signs of life: from begin to end, and never twice at once."""

from __future__ import annotations

import threading

from firmly_nb.widgets.frontend import BEAT, Heartbeat


def test_it_beats_from_begin_to_end(until):
    sent = []
    heart = Heartbeat(sent.append, every_s=0.001)
    heart.begin()
    until(lambda: len(sent) > 3)
    heart.end()
    heart.end()
    assert all(one == BEAT for one in sent)


def test_who_begins_twice_has_one_heart(until):
    sent = []
    heart = Heartbeat(lambda _: sent.append(threading.get_ident()), every_s=0.001)
    heart.begin()
    heart.begin()
    until(lambda: len(sent) > 20)
    heart.end()
    assert len(set(sent)) == 1


def test_after_its_end_it_can_begin_again(until):
    sent = []
    heart = Heartbeat(sent.append, every_s=0.001)
    heart.begin()
    heart.end()
    heart.begin()
    until(lambda: len(sent) > 3)
    heart.end()
