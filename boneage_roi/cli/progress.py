"""How long work shows on a terminal, or in a log, how far it is."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from boneage_roi.progress import Progress


@contextmanager
def training_bars() -> Iterator[Progress]:
    """A bar on stderr for each piece of work, with the time that it took and the time left; gone when it is done.

    Where stderr is no terminal, each piece of work is a line when it is done.
    """
    console = Console(stderr=True)
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        *(TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()),
    )
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total, completed=done)
            bars.update(tasks[label], completed=done, total=total)
            if done >= total:
                bars.remove_task(tasks.pop(label))
                console.print(f"{label}: {total} done", highlight=False, soft_wrap=True)

        yield progress


SECONDS_BETWEEN_LINES = 60


@contextmanager
def reading_progress(failures: Callable[[], int]) -> Iterator[Progress]:
    """A bar on stderr with how many hands a second are read, the time left, and how many failed; gone when done.

    Where stderr is no terminal, such as in the log of a job, it is a line a minute.

    Args:
        failures: gives how many have failed so far.
    """
    console = Console(stderr=True)
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        TextColumn("{task.fields[said]}"),
    )
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        start = told = time.monotonic()
        tasks: dict[str, TaskID] = {}

        def progress(label: str, done: int, total: int) -> None:
            nonlocal told
            now = time.monotonic()
            rate = done / max(now - start, 1e-6)
            left = timedelta(seconds=round((total - done) / rate)) if done else "?"
            said = f"{rate:.1f}/s, {left} left, {failures()} failed"
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total, visible=total > 1, said="")
            bars.update(tasks[label], completed=done, said=said)
            if not console.is_terminal and now - told > SECONDS_BETWEEN_LINES:
                told = now
                console.print(f"{label}: {done} of {total}, {said}", highlight=False, soft_wrap=True)

        yield progress
