"""firmly's app id: given, in the environment, or in a ``.env`` file; never shown."""

from __future__ import annotations

import os

from firmly_nb.api.secrets import SecretStr


def find_app_id(given: str | SecretStr | None) -> SecretStr:
    """Return the app id from the argument, the environment or a ``.env`` file, in this order.

    Raises
    ------
    ValueError
        If there is none.
    """
    if isinstance(given, SecretStr):
        return given
    found = given or os.environ.get("FIRMLY_APP_ID") or _from_dotenv()
    if not found:
        raise ValueError(
            "no app id: pass app_id=..., set FIRMLY_APP_ID, or put FIRMLY_APP_ID=... into a .env "
            "file that is not under version control"
        )
    return SecretStr(found)


def _from_dotenv() -> str | None:
    from dotenv import dotenv_values, find_dotenv

    return dotenv_values(find_dotenv(usecwd=True)).get("FIRMLY_APP_ID")
