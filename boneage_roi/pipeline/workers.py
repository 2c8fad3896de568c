"""Many processes read, each with networks of its own on one thread; what comes out keeps the order of the inputs.

Threads inside networks of this size cost more than they bring: on two cores two processes with one thread each read
more hands than one process with two. A process may also break, by a damaged file that a decoder falls over or for want
of memory, without the others: it costs the one image that it had, and another takes its place.

A process is a plain child that is spoken to through pipes. It imports nothing of the program that started it, so that
scripts need no ``if __name__ == "__main__"``; it ends when the pipe closes, even when its parent was killed.
"""

import faulthandler
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from boneage_roi.errors import InputError
from boneage_roi.pipeline.batch import Outcome, predict_files, without_pixels
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.settings import ReaderSettings

AHEAD = 4
"""Outcomes a worker that may wait for an earlier one: memory ends there."""

PATIENCE = 600
"""Seconds after which a worker gives itself up; the largest radiograph takes a few."""

STARTS = 3
"""Attempts to start a worker."""

BYTES_A_WORKER = 2**30
"""Memory for one worker: 350 MB with radiographs of usual size, more with the largest."""


def most_workers() -> int:
    """How many workers the cores and the free memory of this machine are for.

    >>> most_workers() >= 1
    True
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    free = _free_memory()
    return max(1, cores if free is None else min(cores, free // BYTES_A_WORKER))


def _free_memory() -> int | None:
    """Bytes, where Linux says it."""
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
    return None


def predict_parallel(
    settings: ReaderSettings, items: Iterable[Item], workers: int, *, pixels: bool = False
) -> Iterator[Outcome]:
    """Read bone ages in several processes.

    Args:
        settings: what to read with.
        items: from :func:`boneage_roi.pipeline.inputs.list_inputs`; taken as they are needed.
        workers: how many processes.
        pixels: whether outcomes bring their images and masks; copying them takes time.

    Yields:
        One outcome an item, in order, with the same numbers as :func:`boneage_roi.pipeline.batch.predict_files`.

    Raises:
        InputError: the bundle cannot be used, or no process can be started.
    """
    threads = ThreadPoolExecutor(workers)
    idle: SimpleQueue[Worker] = SimpleQueue()
    staff = [Worker(settings, pixels) for _ in range(workers)]
    for worker in staff:
        idle.put(worker)

    def read(item: Item) -> Outcome:
        if item.error:  # there is nothing to send
            return Outcome(item, message=item.error)
        worker = idle.get()
        try:
            return worker.read(item)
        finally:
            idle.put(worker)

    waiting: deque[Future[Outcome]] = deque()
    try:
        for item in items:
            waiting.append(threads.submit(read, item))
            while waiting and (waiting[0].done() or len(waiting) >= AHEAD * workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for worker in staff:
            worker.close()
        threads.shutdown()


class Worker:
    """A process that reads one item after the other; another is started in the place of one that broke.

    Args:
        settings: what to read with.
        pixels: whether outcomes bring their images and masks.
    """

    def __init__(self, settings: ReaderSettings, pixels: bool) -> None:
        self._start_with = (settings, pixels, PATIENCE)
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def read(self, item: Item) -> Outcome:
        """The outcome of an item; when the process ends over it, an outcome that says how.

        Raises:
            InputError: the bundle cannot be used, or no process can be started.
        """
        process = self._process or self._start()
        begun = time.monotonic()
        try:
            outcome = _ask(process, item)
        except (OSError, EOFError, pickle.UnpicklingError):
            late = time.monotonic() - begun >= PATIENCE
            why = f"took more than {PATIENCE} s" if late else _how_it_ended(process)
            self._stop()
            return Outcome(item, message=f"{item.path}: the process that read it {why}; read this image alone")
        assert isinstance(outcome, Outcome)
        return outcome

    def _start(self) -> "subprocess.Popen[bytes]":
        why = "is not wanted any more"
        for _ in range(STARTS):
            if self._closed:
                break
            self._process = process = _start_process()
            try:
                refused = _ask(process, self._start_with)
            except (OSError, EOFError, pickle.UnpicklingError):
                why = _how_it_ended(process)
                self._stop()
                continue
            if refused is not None:
                self._stop()
                raise InputError(str(refused))
            return process
        raise InputError(f"a worker cannot be started: the process {why}; give --workers 1")

    def close(self) -> None:
        """End the process, whatever it does, and start no other."""
        self._closed = True
        self._stop()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    _open(pipe).close()


def _start_process() -> "subprocess.Popen[bytes]":
    package = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-P", "-c", "from boneage_roi.pipeline.workers import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )


def _ask(process: "subprocess.Popen[bytes]", question: object) -> object:
    requests, answers = _open(process.stdin), _open(process.stdout)
    pickle.dump(question, requests, pickle.HIGHEST_PROTOCOL)
    requests.flush()
    return pickle.load(answers)


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _how_it_ended(process: "subprocess.Popen[bytes]") -> str:
    try:
        code = process.wait(10)
    except subprocess.TimeoutExpired:
        return "answered nonsense"
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def serve() -> None:
    """What a worker does: answers each item on stdin with its outcome on stdout, until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to deal with
    import cv2

    cv2.setNumThreads(1)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints does not mix with the answers

    def answer(value: Any) -> None:
        pickle.dump(value, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()

    with suppress(EOFError, BrokenPipeError):
        settings, pixels, patience = pickle.load(requests)
        try:
            reader = settings.open(threads=1)
        except InputError as error:
            answer(error)
            return
        answer(None)
        with Path(os.devnull).open("w") as nowhere:
            while True:
                item = pickle.load(requests)
                # A clock that no decoder can hold up: it needs no Python to run.
                faulthandler.dump_traceback_later(patience, exit=True, file=nowhere)
                (outcome,) = predict_files(reader, [item])
                faulthandler.cancel_dump_traceback_later()
                answer(outcome if pixels else without_pixels(outcome))
