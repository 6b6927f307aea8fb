"""Measure one parser once, in a process of its own: ``python -m benchmarks.sse_once``.

A big event is mostly a matter of memory, and what memory costs depends on what the process has
done before. In a new process nobody inherits anything, and the chunks are made while they are
read, as a socket would bring them; what making them costs is taken off.
"""

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator

from benchmarks.sse_parsers import PARSERS, Read
from benchmarks.sse_streams import Pattern


class TooSlowError(Exception):
    """A parser used up its time; ``share`` of the stream had been taken by then."""

    def __init__(self, share: float) -> None:
        super().__init__(f"{share:.0%}")
        self.share = share


def until(chunks: Iterable[bytes], count: int, seconds: float) -> Iterator[bytes]:
    """Give the chunks out, but not for longer than that."""
    end = time.process_time() + seconds
    for number, chunk in enumerate(chunks):
        if number % 64 == 0 and time.process_time() > end:
            raise TooSlowError(number / count)
        yield chunk


def attempt(measure: Callable[[], float], cap: float) -> float | str:
    """Measure with a time cap; a failure is a result, too."""
    try:
        return measure()
    except Exception as error:  # noqa: BLE001 - whatever a parser raises is its result
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, TooSlowError):
                return f">{cap:g} s ({cause.share:.0%})"
            cause = cause.__cause__ or cause.__context__
        return type(error).__name__


def cpu_seconds(read: Read, chunks: Iterable[bytes]) -> float:
    """Measure one pass over a stream."""
    start = time.process_time()
    for _ in read(chunks):
        pass
    return time.process_time() - start


def in_new_process(label: str, pattern: Pattern, cap: float) -> float | str:
    """Measure once in a process of its own."""
    words = [label, pattern.kind, pattern.size, pattern.chunk, cap]
    command = [sys.executable, "-m", "benchmarks.sse_once", *map(str, words)]
    result = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=20 * cap + 60
    )
    kind, _, value = result.stdout.strip().partition(" ")
    return float(value) if kind == "seconds" else value


def main() -> None:
    """Measure what the arguments say, and print it."""
    logging.disable()
    label, kind, size, chunk, cap = sys.argv[1:]
    read = next(parser.load() for parser in PARSERS if parser.label == label)
    pattern = Pattern(kind, int(size), int(chunk))
    stream = pattern.stream()
    count = len(stream) // pattern.chunk + 1

    def chunks() -> Iterator[bytes]:
        return until(pattern.chunks(stream), count, float(cap))

    for _ in range(3):  # the interpreter adapts its code to what it does
        cpu_seconds(read, Pattern(kind, 20_000, 1 << 10).chunks(Pattern(kind, 20_000, 1).stream()))
    source = min(cpu_seconds(iter, chunks()) for _ in range(2))
    found = attempt(lambda: cpu_seconds(read, chunks()) - source, float(cap))
    print(*(("failed", found) if isinstance(found, str) else ("seconds", found)))


if __name__ == "__main__":
    main()
