"""Where the work is done: an engine opens what it reads with, then turns items into outcomes, one an item, in order."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from boneage_roi.errors import InputError
from boneage_roi.pipeline.batch import Outcome, predict_files
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.ray_engine import read_on_ray
from boneage_roi.pipeline.settings import ReaderSettings
from boneage_roi.pipeline.workers import most_workers, predict_parallel

FEW = 64
"""Fewer images are read in the process itself: a worker needs longer to start than it saves."""


@dataclass(frozen=True)
class Work:
    """What an engine is told.

    Attributes:
        settings: what to read with.
        workers: processes or actors at the most; 1 reads in the process itself, None lets the engine choose.
        pixels: whether outcomes bring their images and masks.
        count: how many items there will be at the most.
        address: of a cluster, for engines that have one.
    """

    settings: ReaderSettings
    workers: int | None = None
    pixels: bool = False
    count: int = 0
    address: str | None = None


Read = Callable[[Iterable[Item]], Iterator[Outcome]]
Engine = Callable[[Work], Read]


def read_here(work: Work) -> Read:
    """Read on this machine: one hand after the other, or in several processes."""
    if work.address is not None:
        raise InputError("an address is for engines with a cluster; give one, or leave --address out")
    alone = work.count < FEW or work.settings.provider != "cpu"  # several processes would share one GPU's memory
    workers = work.workers or (1 if alone else most_workers())
    if workers == 1:
        return partial(predict_files, work.settings.open())
    return partial(predict_parallel, work.settings, workers=workers, pixels=work.pixels)


ENGINES: dict[str, Engine] = {"local": read_here, "ray": read_on_ray}
"""Engines by name."""


def find_engine(name: str) -> Engine:
    """An engine.

    Raises:
        InputError: no engine has that name; the message lists the right ones.

    >>> find_engine("local").__name__
    'read_here'
    """
    if name not in ENGINES:
        raise InputError(f"engine {name!r} is unknown; known are {', '.join(ENGINES)}")
    return ENGINES[name]
