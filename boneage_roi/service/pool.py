"""A bounded pool of threads with a fair queue: each client's next job in turn, so that nobody waits behind a batch."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from boneage_roi.service.problems import Problem

T = TypeVar("T")


class Pool:
    """Runs jobs on threads.

    The queue is a ring of clients, each with its own line. A worker takes the first job of the client whose turn it
    is; so a client with one job waits for at most one job of every other client.

    Args:
        workers: how many jobs run at the same time.
        queue: how many may wait. One client may fill half of it.
        seconds: a job that takes longer, waiting included, is given up.
    """

    def __init__(self, workers: int, queue: int, seconds: float) -> None:
        self._queue = queue
        self._seconds = seconds
        self._lines: dict[str, deque[tuple[Future[Any], Callable[[], Any]]]] = {}  # in the order of turns
        self._change = threading.Condition()
        self._open = True
        self.running = 0
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return sum(len(line) for line in self._lines.values())

    async def run(self, client: str, job: Callable[[], T]) -> T:
        """Run a job and give what it gives.

        Raises:
            Problem: 429 when the queue is full, 503 when the job took too long.
        """
        future = self._put(client, job)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._seconds)
        except TimeoutError:
            raise Problem(
                503, f"took longer than {self._seconds:g} s; try again later", headers={"Retry-After": "10"}
            ) from None
        finally:
            future.cancel()  # whoever asked has left: what has not begun need not begin

    def _put(self, client: str, job: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        with self._change:
            line = self._lines.get(client, deque())
            if self.waiting >= self._queue or len(line) >= max(1, self._queue // 2):
                raise Problem(429, "too many readings wait; try again in a moment", headers={"Retry-After": "2"})
            line.append((future, job))
            self._lines.setdefault(client, line)
            self._change.notify()
        return future

    def _work(self) -> None:
        while (job := self._take()) is not None:
            future, work = job
            if future.set_running_or_notify_cancel():
                with self._change:
                    self.running += 1
                try:
                    future.set_result(work())
                except BaseException as error:
                    future.set_exception(error)
                finally:
                    with self._change:
                        self.running -= 1
            del job, future, work  # an idle worker must not hold an image

    def _take(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        with self._change:
            while not self._lines and self._open:
                self._change.wait()
            if not self._lines:
                return None
            client = next(iter(self._lines))
            line = self._lines.pop(client)
            job = line.popleft()
            if line:
                self._lines[client] = line  # to the end of the ring
            return job

    def close(self) -> None:
        """Finish what waits, then end the threads."""
        with self._change:
            self._open = False
            self._change.notify_all()
        for thread in self._threads:
            thread.join()
