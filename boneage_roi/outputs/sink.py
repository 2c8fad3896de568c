"""Where outcomes go: every output is a sink, and any number of them take the same stream."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Protocol

from boneage_roi.pipeline.batch import Outcome


class Sink(Protocol):
    """One output: a file, a folder of pictures, a table on the terminal."""

    def open(self) -> None:
        """Begin; refuse here what cannot be written, before any work is done."""

    def write(self, outcome: Outcome) -> None:
        """Take the next outcome; they come in the order of the inputs, one each."""

    def close(self, complete: bool) -> None:
        """End; ``complete`` is False when the work was cut short."""


@contextmanager
def opened(sinks: Iterable[Sink]) -> Iterator[Callable[[Outcome], None]]:
    """Open sinks, and close every one of them whatever happens.

    Example::

        with opened([CsvSink(...), OverlaySink(...)]) as write:
            for outcome in predict_files(reader, items):
                write(outcome)

    Yields:
        A function that hands an outcome to each sink.
    """
    with ExitStack() as stack:
        writes = []
        for sink in sinks:
            sink.open()
            stack.push(_closing(sink))
            writes.append(sink.write)

        def write(outcome: Outcome) -> None:
            for one in writes:
                one(outcome)

        yield write


def _closing(sink: Sink) -> Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], bool]:
    def close(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        sink.close(kind is None)
        return False

    return close
