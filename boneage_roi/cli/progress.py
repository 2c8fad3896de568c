"""How a training shows on a terminal how far it is."""

from collections.abc import Iterator
from contextlib import contextmanager

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
