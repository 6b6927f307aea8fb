"""firmly's app id: given, in the environment, or in a ``.env`` file; never shown."""

from __future__ import annotations

import os
import re

from firmly_nb.api.secrets import APP_ID_VARIABLE, SecretStr

# What a header can carry; nobody's app id has more.
APP_ID = re.compile(r"[!-~]{1,512}")


def find_app_id(given: SecretStr | None) -> SecretStr:
    """Return the app id from the argument, the environment or a ``.env`` file, in this order.

    Raises
    ------
    ValueError
        If there is none, or it cannot be one.
    """
    found = given or SecretStr(os.environ.get(APP_ID_VARIABLE, "")) or from_dotenv()
    if not found:
        raise ValueError(
            "no app id: pass app_id=..., set FIRMLY_APP_ID, or put FIRMLY_APP_ID=... into a .env "
            "file that is not under version control"
        )
    app_id = SecretStr(found.get_secret_value().strip())
    if not APP_ID.fullmatch(app_id.get_secret_value()):
        raise ValueError(
            "the app id holds a space or a character that is not ASCII, which no app id has: "
            "copy it again"
        )
    return app_id


def from_dotenv() -> SecretStr:
    """Return the app id of the nearest ``.env`` file; an empty one if it has none.

    Raises
    ------
    ValueError
        If the file cannot be read.
    """
    from dotenv import dotenv_values, find_dotenv

    path = find_dotenv(usecwd=True)
    why = ""
    try:
        return SecretStr(dotenv_values(path).get(APP_ID_VARIABLE) or "")
    except OSError as error:
        why = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        why = "it is not UTF-8"
    # Raised out here: chained to it would be the file's content.
    raise ValueError(f"{path} cannot be read: {why}")
