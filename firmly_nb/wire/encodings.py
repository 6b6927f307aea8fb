"""Decoding of compressed responses while they arrive, for servers that compress unasked.

Each piece that comes out is bounded, however much a few bytes unfold into, so that whoever takes
the pieces can stop at a limit. gzip and deflate are read by Python itself, br and zstd where Python
or an installed library has them.
"""

from __future__ import annotations

import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PIECE_BYTES = 256 * 1024
# What libraries without a limit of their own are given at once.
SLICE_BYTES = 64
MOST_LAYERS = 4
MOST_WINDOW_BYTES = 8 * 1024 * 1024  # RFC 9659
IDENTITY = frozenset({"", "identity"})
ALIASES = {"x-gzip": "gzip", "x-compress": "compress"}
GZIP_BEGIN = b"\x1f\x8b"
# Registered encodings that Python cannot read, or only with a library; others are not encodings.
COMPRESSED = frozenset({"gzip", "deflate", "br", "zstd", "compress", "dcb", "dcz"})


class DecodingError(ValueError):
    """Compressed data that is damaged."""


class Layer(Protocol):
    """One encoding, undone."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes and give out what they unfold into, in bounded pieces."""

    def close(self) -> bool:
        """Return whether the data came to its own end."""


class Zlib:
    """gzip, and deflate with or without zlib's header; data that is neither passes as it is."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._head = b""
        self._machine: Any = None
        self.passes = False  # as it is, since it is not compressed
        self._ended = False  # one whole part came; gzip may have more

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes and give out what they unfold into, in bounded pieces."""
        while data and not self.passes:
            if self._machine is None:
                self._head += data
                if len(self._head) < len(GZIP_BEGIN):
                    return
                data, self._head = self._head, b""
                if self._ended and not data.startswith(GZIP_BEGIN):
                    self._head = data[:1]
                    return  # what follows the end is padding
                self._begin(data)
                continue
            size = PIECE_BYTES
            while size == PIECE_BYTES and not self._machine.eof:
                before = self._machine.copy()
                try:
                    out = bytes(self._machine.decompress(data, PIECE_BYTES))
                except zlib.error:
                    yield from self._until_the_damage(before, data)
                data, size = self._machine.unconsumed_tail, len(out)
                if out:
                    yield out
            if self._machine.eof:
                data, self._machine, self._ended = self._machine.unused_data, None, True
        if data:
            yield data

    def _begin(self, data: bytes) -> None:
        if self._name == "gzip":
            self.passes = not data.startswith(GZIP_BEGIN)
            bits = zlib.MAX_WBITS | 16
        else:
            has_header = data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            bits = zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS
            if not has_header:
                try:
                    zlib.decompressobj(bits).decompress(data, PIECE_BYTES)
                except zlib.error:
                    self.passes = True
        self._machine = None if self.passes else zlib.decompressobj(bits)

    def _until_the_damage(self, machine: Any, data: bytes) -> Iterator[bytes]:
        """Give out what is whole before the damage, however the bytes came; then raise."""
        for at in range(len(data)):
            try:
                out = machine.decompress(data[at : at + 1])
            except zlib.error:
                break
            if out:
                yield out
        raise DecodingError(f"the {self._name} data of the response is damaged")

    def close(self) -> bool:
        """Return whether the data came to its own end."""
        return self._machine is None and (self._ended or self.passes or not self._head)


class Sliced:
    """Encoding that a library undoes, given little at a time: it has no limit of its own."""

    def __init__(self, name: str, decode: Callable[[bytes], bytes]) -> None:
        self._name = name
        self._decode = decode

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes and give out what they unfold into, in bounded pieces."""
        for start in range(0, len(data), SLICE_BYTES):
            try:
                out = self._decode(data[start : start + SLICE_BYTES])
            except Exception:  # noqa: BLE001 - each library has an error of its own
                raise DecodingError(f"the {self._name} data of the response is damaged") from None
            for at in range(0, len(out), PIECE_BYTES):
                yield out[at : at + PIECE_BYTES]

    def close(self) -> bool:
        """Return True: not every library says."""
        return True


def _brotli() -> Callable[[bytes], bytes]:
    for name in ("brotli", "brotlicffi"):
        try:
            decode = import_module(name).Decompressor().process
        except ImportError:
            continue
        return decode  # type: ignore[no-any-return]  # found by name, so untyped
    raise ImportError("brotli")


def _zstd() -> Callable[[bytes], bytes]:
    try:
        machine = import_module("compression.zstd").ZstdDecompressor()  # Python 3.14
        return lambda data: machine.decompress(data) if not machine.eof else b""
    except ImportError:
        found = import_module("zstandard").ZstdDecompressor(max_window_size=MOST_WINDOW_BYTES)
        return found.decompressobj().decompress  # type: ignore[no-any-return]  # the same


LIBRARIES = {"br": ("brotli", _brotli), "zstd": ("zstandard", _zstd)}


def encodings(header: str) -> list[str]:
    """Return the encodings that a Content-Encoding header names, in the order of encoding.

    Examples
    --------
    >>> encodings("identity"), encodings("X-Gzip, br"), encodings("")
    ([], ['gzip', 'br'], [])
    """
    names = [name.strip().lower() for name in header.split(",")]
    return [ALIASES.get(name, name) for name in names if name not in IDENTITY]


class Decoder:
    """Decoder of a response, by its Content-Encoding.

    Attributes
    ----------
    names
        The encodings that are undone, as they were applied.
    unknown
        Names in the header that are not encodings; what they say is passed over.
    undone
        Names of the encodings that the data fed so far has; the others are only said.
    unreadable
        Why nothing can be decoded here; None if it can.

    Examples
    --------
    >>> import zlib
    >>> decoder = Decoder("deflate")
    >>> b"".join(decoder.feed(zlib.compress(b"data: 1")))
    b'data: 1'
    >>> Decoder("compress").unreadable
    'it is encoded with compress, which cannot be decoded'
    """

    def __init__(self, header: str) -> None:
        found = encodings(header)
        self.names = [name for name in found if name in COMPRESSED]
        self.unknown = [name for name in found if name not in COMPRESSED]
        self.unreadable: str | None = None
        self._layers: list[Layer] = []
        if len(self.names) > MOST_LAYERS:
            self.unreadable = f"it is encoded {len(self.names)} times over"
            return
        for name in reversed(self.names):
            if name in ("gzip", "deflate"):
                self._layers.append(Zlib(name))
                continue
            self.unreadable = f"it is encoded with {name}, which cannot be decoded"
            if name not in LIBRARIES:
                return
            library, make = LIBRARIES[name]
            try:
                self._layers.append(Sliced(name, make()))
            except ImportError:
                self.unreadable += f" without the library {library}"
                return
            self.unreadable = None

    @property
    def undone(self) -> list[str]:
        """Names of the encodings that the data fed so far has; the others are only said."""
        layers = reversed(self._layers)
        passes = [isinstance(layer, Zlib) and layer.passes for layer in layers]
        passes += [False] * (len(self.names) - len(passes))  # of layers that cannot be undone
        return [name for name, passed in zip(self.names, passes, strict=True) if not passed]

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes of the response and give out what they unfold into.

        Raises
        ------
        DecodingError
            If the data is damaged.
        """
        pieces: Iterable[bytes] = (data,)
        for layer in self._layers:
            pieces = _through(layer, pieces)
        yield from pieces

    def close(self) -> bool:
        """Return whether the compressed data came to its end."""
        return all(layer.close() for layer in self._layers)


def _through(layer: Layer, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield from layer.feed(piece)
