"""Every Python parser of event streams that is kept up, behind one face: chunks in, events out."""

import asyncio
import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import httpx

from firmly_nb.wire.sse import EventStreamParser

Fields = tuple[str, str, str, int | None]
Read = Callable[[Iterable[bytes]], Iterator[Any]]

UNLIMITED = 1 << 40
HEADERS = {"content-type": "text/event-stream"}


@dataclass(frozen=True)
class Parser:
    """A parser: how it is loaded and driven, and where its events keep their fields.

    ``load`` imports the package and returns the function that is measured. ``names`` are the
    attributes of an event for its type, data, id and retry; an empty one is not offered.
    """

    label: str
    package: str
    load: Callable[[], Read]
    names: tuple[str, str, str, str] = ("event", "data", "id", "retry")
    remark: str = ""

    @property
    def version(self) -> str | None:
        """The installed version, or None."""
        try:
            return metadata.version(self.package)
        except metadata.PackageNotFoundError:
            return None

    def fields(self, event: Any) -> Fields:
        """Read an event's fields in the words of the standard."""
        kind, data, identifier, retry = (getattr(event, name, None) for name in self.names)
        return kind or "message", data or "", identifier or "", retry


class _EndedError(Exception):
    """Raised into clients that would otherwise wait and connect again."""


def _stop() -> None:
    raise _EndedError


def _nothing(**_: Any) -> None:
    """Stand in for a callback."""


def _ours(*, text: bool) -> Read:
    def read(chunks: Iterable[bytes]) -> Iterator[Any]:
        feed = EventStreamParser(max_event_bytes=UNLIMITED, max_stream_bytes=UNLIMITED).feed
        if not text:
            for chunk in chunks:
                yield from feed(chunk)
            return
        for chunk in chunks:
            for event in feed(chunk):
                event.data  # noqa: B018 - the work that is to be measured
                yield event

    return read


def _httpx_sse() -> Read:
    event_source = importlib.import_module("httpx_sse").EventSource

    class Body(httpx.SyncByteStream):
        def __init__(self, chunks: Iterable[bytes]) -> None:
            self.chunks = chunks

        def __iter__(self) -> Iterator[bytes]:
            return iter(self.chunks)

    def read(chunks: Iterable[bytes]) -> Iterator[Any]:
        response = httpx.Response(200, headers=HEADERS, stream=Body(chunks))
        yield from event_source(response).iter_sse()

    return read


def _httpx2() -> Read:
    httpx2 = importlib.import_module("httpx2")
    event_source = importlib.import_module("httpx2._sse").EventSource
    request = httpx2.Request("GET", "http://localhost/")
    body = type("Body", (httpx2.SyncByteStream,), {"__iter__": lambda self: iter(self.chunks)})

    def read(chunks: Iterable[bytes]) -> Iterator[Any]:
        stream = body()
        stream.chunks = chunks
        response = httpx2.Response(200, headers=HEADERS, stream=stream, request=request)
        yield from event_source(response, max_event_size=None)

    return read


def _sseclient_py() -> Read:
    client = importlib.import_module("sseclient").SSEClient
    return lambda chunks: client(chunks).events()


def _requests_sse() -> Read:
    requests = importlib.import_module("requests")
    event_source = importlib.import_module("requests_sse").EventSource

    def read(chunks: Iterable[bytes]) -> Iterator[Any]:
        response = requests.Response()
        response.status_code = 200
        response.headers.update(HEADERS)
        response.url = "http://localhost/"
        response.raw = SimpleNamespace(stream=lambda *_, **__: iter(chunks))
        session = SimpleNamespace(request=lambda **_: response)
        source = event_source(response.url, session=session, on_error=_stop)
        source.connect()
        try:
            yield from source
        except _EndedError:
            return

    return read


def _launchdarkly() -> Read:
    package = importlib.import_module("ld_eventsource")
    config = importlib.import_module("ld_eventsource.config")

    def read(chunks: Iterable[bytes]) -> Iterator[Any]:
        result = config.ConnectionResult(iter(chunks), None)
        client = SimpleNamespace(connect=lambda _: result, close=lambda: None)
        strategy = type("Memory", (config.ConnectStrategy,), {"create_client": lambda *_: client})()
        yield from package.SSEClient(strategy).events

    return read


def _decoder_of(module: str) -> Callable[[], Read]:
    def load() -> Read:
        decoder = importlib.import_module(module).SSEDecoder
        return lambda chunks: decoder().iter_bytes(iter(chunks))

    return load


def _langgraph() -> Read:
    module: Any = importlib.import_module("langgraph_sdk.sse")
    # Its decoder also decodes JSON. Text stands in for that here, so that parsers are compared.
    module.orjson = SimpleNamespace(
        loads=lambda body: bytes(body).decode("utf-8", "replace"), JSONDecodeError=ValueError
    )

    def read(chunks: Iterable[bytes]) -> Iterator[Any]:
        lines, events = module.BytesLineDecoder(), module.SSEDecoder()
        for chunk in chunks:
            for line in lines.decode(chunk):
                if (event := events.decode(line)) is not None:
                    yield event

    return read


def _urllib3_future() -> Read:
    extension = importlib.import_module("urllib3_future.contrib.webextensions.sse")

    def read(chunks: Iterable[bytes]) -> Iterator[Any]:
        source = extension.ServerSideEventExtensionFromHTTP()
        body = (chunk for chunk in chunks)
        source.start(
            SimpleNamespace(
                stream=lambda *_, **__: body, _fp=SimpleNamespace(_dsa=None), _police_officer=None
            )
        )
        while (event := source.next_payload()) is not None:
            yield event

    return read


def _assel() -> Read:
    package = importlib.import_module("assel")

    def read(chunks: Iterable[bytes]) -> Iterator[Any]:
        # One UTF-8 decoder serves the whole process: what a stream left in it hurts the next one.
        package.LineParser.utf8dec.reset()
        yield from package.parse(chunks, package.Parser())

    return read


def _axio_sse() -> Read:
    decoder = importlib.import_module("axio_sse").Decoder

    def read(chunks: Iterable[bytes]) -> Iterator[Any]:
        decode = decoder().decode
        for chunk in chunks:
            yield from decode(chunk)

    return read


def _aiohttp_sse_client2() -> Read:
    client = importlib.import_module("aiohttp_sse_client2.client")
    aiohttp = importlib.import_module("aiohttp")

    async def gather(chunks: Iterable[bytes]) -> list[Any]:
        loop = asyncio.get_running_loop()
        protocol = SimpleNamespace(
            _reading_paused=False, pause_reading=_nothing, resume_reading=_nothing, connected=True
        )
        content = aiohttp.StreamReader(protocol, 1 << 16, loop=loop)
        response = SimpleNamespace(
            status=200,
            content_type=HEADERS["content-type"],
            content=content,
            real_url=client.URL("http://localhost/"),
        )

        async def request(*_: Any, **__: Any) -> Any:
            return response

        async def arrive() -> None:
            try:
                for chunk in chunks:
                    content.feed_data(chunk)
                    await asyncio.sleep(0)
                content.feed_eof()
            except Exception as error:  # noqa: BLE001 - it goes where the bytes would have gone
                content.set_exception(error)

        session = SimpleNamespace(request=request)
        source = client.EventSource("http://localhost/", session=session, on_error=_stop)
        await source.connect()
        arriving = asyncio.create_task(arrive())
        events = []
        try:
            async for event in source:
                events.append(event)  # noqa: PERF401 - the end of the stream is an exception
        except _EndedError:
            pass
        finally:
            await asyncio.gather(arriving, return_exceptions=True)
        return events

    return lambda chunks: iter(asyncio.run(gather(chunks)))


_NO_RETRY = ("event", "data", "last_event_id", "")
_MESSAGE = ("type", "data", "last_event_id", "")

PARSERS = [
    Parser("firmly-nb, data as bytes", "firmly-nb", lambda: _ours(text=False)),
    Parser("firmly-nb, data as text", "firmly-nb", lambda: _ours(text=True)),
    Parser("httpx-sse", "httpx-sse", _httpx_sse),
    Parser("httpx2", "httpx2", _httpx2, remark="its limit of 1 MiB an event lifted"),
    Parser("sseclient-py", "sseclient-py", _sseclient_py),
    Parser("requests-sse", "requests-sse", _requests_sse, _MESSAGE),
    Parser("launchdarkly-eventsource", "launchdarkly-eventsource", _launchdarkly, _NO_RETRY),
    Parser("openai", "openai", _decoder_of("openai._streaming"), remark="a large SDK"),
    Parser("anthropic", "anthropic", _decoder_of("anthropic._streaming"), remark="a large SDK"),
    Parser(
        "langgraph-sdk",
        "langgraph-sdk",
        _langgraph,
        remark="brings twelve packages, so it stays out of the extra; its JSON decoding is "
        "replaced by decoding to text",
    ),
    Parser(
        "urllib3-future",
        "urllib3-future",
        _urllib3_future,
        remark="overwrites urllib3 wherever it is installed, so it stays out of the extra",
    ),
    Parser(
        "assel", "assel", _assel, remark="its process-wide UTF-8 decoder reset before each stream"
    ),
    Parser("axio-sse", "axio-sse", _axio_sse, remark="needs Python 3.12"),
    Parser(
        "aiohttp-sse-client2",
        "aiohttp-sse-client2",
        _aiohttp_sse_client2,
        _MESSAGE,
        remark="driven through its asyncio stream",
    ),
]

NOT_DRIVEN = {
    "sseclient": "has the import name of sseclient-py; one environment holds only one of them",
    "aiosseclient": "has no parser apart from its HTTP client",
    "ssec": "has no parser apart from its HTTP client; needs Python 3.12",
    "mcp": "uses the parser of httpx2",
}
