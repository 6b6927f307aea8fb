"""What the libraries below us log of our requests, where somebody switches debugging on.

httpcore then writes down the head of each answer, cookies and all (and never that of a request).
Of our own answers only the status is left; other people's requests are logged as ever.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = re.compile(r"(?s)(receive_response_headers\.complete return_value=[^\[]*)\[.*")

_ours: ContextVar[bool] = ContextVar("firmly_nb_request", default=False)


@contextmanager
def own_request() -> Iterator[None]:
    """Mark what is sent and read inside as ours."""
    before = _ours.get()
    _ours.set(True)
    try:
        yield
    finally:
        _ours.set(before)


def _without_headers(record: logging.LogRecord) -> bool:
    if _ours.get() and isinstance(record.msg, str):
        record.msg = HEAD.sub(r"\1[headers])", record.msg)
    return True


logging.getLogger("httpcore.http11").addFilter(_without_headers)
