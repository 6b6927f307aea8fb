"""Order forms saved by name: one small JSON file each, in the user's state directory.

No secret is in them, because none is in a draft. Addresses are as they were typed, so only the user
may read the files. A preset can come from anywhere: it is read as data of a known form and size.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    create_model,
    model_serializer,
)

from firmly_nb.disk import read_whole, write_whole
from firmly_nb.display.messages import UnknownName, coded_error, quoted, unknown
from firmly_nb.recorder.journal import default_directory
from firmly_nb.widgets.draft import Draft, Short

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".json"
LONGEST_NAME = 80
LARGEST_FILE = 1 << 20


class PresetError(OSError):
    """Error of a preset that cannot be saved or read."""


class _Row(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    variant_id: Short | None = ""
    product_id: Short | None = None
    variant_handles: Annotated[list[Short], Field(max_length=20)] | None = None
    add_to_cart_ref: dict[str, Any] | None = None
    quantity: int | Short | None = 1
    handle: Short = ""
    title: Short = ""
    raw: bool = False

    @model_serializer(mode="wrap")
    def _plain_if_it_is(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        made: dict[str, Any] = dump(self)
        if made["add_to_cart_ref"] is None:
            del made["add_to_cart_ref"]
        return made


class _Named(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    format_version: int = 1
    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


# A file holds all fields of a draft; what it does not know is left out when it is read.
_HINTS = get_type_hints(Draft, include_extras=True) | {
    "items": Annotated[list[_Row], Field(max_length=1_000)]
}
_FIELDS: dict[str, Any] = {
    one.name: (_HINTS[one.name], ... if one.default is MISSING else one.default)
    for one in fields(Draft)
}
_Preset = create_model("_Preset", __base__=_Named, **_FIELDS)


class Presets:
    """Presets in a folder, by default those of this user.

    Parameters
    ----------
    directory
        By default ``presets`` beside the journals.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or default_directory().parent / "presets"

    def names(self) -> list[str]:
        """Return the names of all that can be read, in order."""
        found = []
        for path in self.directory.glob(f"*{SUFFIX}"):
            with suppress(PresetError):
                found.append(_read(path).name)
        return sorted(found, key=str.casefold)

    def save(self, name: str, draft: dict[str, Any]) -> None:
        """Write a preset, whole or not at all; one of the same name is replaced.

        Raises
        ------
        ValueError
            If the name cannot be one, or the form holds something that no preset can hold.
        PresetError
            If the folder cannot be written.
        """
        name = checked_name(name)
        try:
            preset = _Preset(name=name, **draft)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
            text = f"{where} is too long or of another kind than a form holds. Shorten it."
            raise coded_error(ValueError, "FNB711", text) from None
        content = orjson.dumps(preset.model_dump(), option=orjson.OPT_INDENT_2)
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(self._path(name), content)
        except OSError as error:
            raise coded_error(
                PresetError,
                "FNB407",
                f"The preset cannot be saved in {self.directory}: {error.strerror or error}. Set "
                "FIRMLY_NB_HOME to a writable folder.",
            ) from error

    def load(self, name: str) -> dict[str, Any]:
        """Return the fields of a draft.

        Raises
        ------
        KeyError
            If there is none of that name.
        PresetError
            If its file is damaged.
        """
        path = self._path(checked_name(name))
        if not path.exists():
            raise coded_error(UnknownName, "FNB408", unknown("preset", name, self.names()))
        return _read(path).model_dump(exclude={"name", "format_version"})

    def delete(self, name: str) -> None:
        """Delete a preset, if there is one of that name."""
        self._path(checked_name(name)).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        # A name can be anything; the name of a file cannot.
        return self.directory / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}{SUFFIX}"


def checked_name(name: str) -> str:
    """Return a preset's name without outer blanks.

    Raises
    ------
    ValueError
        If it is empty, too long or cannot be printed.

    Examples
    --------
    >>> checked_name(" Two tees, Seattle ")
    'Two tees, Seattle'
    """
    text = str(name).strip()
    if not text or len(text) > LONGEST_NAME or not text.isprintable():
        limits = f"1 to {LONGEST_NAME} printable characters"
        raise coded_error(
            ValueError, "FNB409", f"name must be {limits}, got {quoted(text)}. Choose another."
        )
    return text


def _read(path: Path) -> _Named:
    try:
        if path.stat().st_size > LARGEST_FILE:
            text = f"The preset {path} is larger than any form. Delete it."
            raise coded_error(PresetError, "FNB410", text)
        return _Preset.model_validate(orjson.loads(read_whole(path)))
    except (OSError, ValueError) as error:
        if isinstance(error, PresetError):
            raise
        text = (
            f"The preset {path} cannot be read ({type(error).__name__}). Delete or save it again."
        )
        raise coded_error(PresetError, "FNB410", text) from None
