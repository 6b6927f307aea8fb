"""The API's description as data: calls, errors, events and fields, and how surely each is known.

``firmly_nb/api_description.json`` says of itself how to read it; docs/firmly-api.md says the same
in words. The simulator reads the same file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

API: dict[str, Any] = orjson.loads(
    (Path(__file__).parents[1] / "api_description.json").read_bytes()
)
