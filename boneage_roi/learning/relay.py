"""Progress that is made in other processes, told in this one."""

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from boneage_roi.progress import Progress


class _Relay:
    """Puts what it is told into a queue; may go to another process."""

    def __init__(self, queue: Any) -> None:
        self.queue = queue

    def __call__(self, title: str, done: int, total: int) -> None:
        self.queue.put((title, done, total))


@contextmanager
def relayed(progress: Progress | None, *, across: bool) -> Iterator[Progress | None]:
    """What a training tells its progress to: ``progress`` itself, or, across processes, something that reaches it."""
    if progress is None or not across:
        yield progress
        return
    queue = multiprocessing.get_context("spawn").SimpleQueue()

    def tell() -> None:
        while (words := queue.get()) is not None:
            progress(*words)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield _Relay(queue)
    finally:
        queue.put(None)
        teller.join()
