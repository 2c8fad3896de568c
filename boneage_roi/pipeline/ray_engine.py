"""Reading on a Ray cluster: Ray Data hands items out to actors, waits when outcomes do, and repeats what was lost.

An actor keeps one bundle open, in a process beside it as on one machine: a damaged file that a decoder falls over costs
its one image, where Ray alone would try it for ever. Outcomes come back in order to the machine that asked, which
writes them, so that tables, ``--resume`` and parts are those of one machine.
"""

import logging
import os
import pickle
import re
import socket
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from boneage_roi.errors import InputError
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.settings import ReaderSettings
from boneage_roi.pipeline.workers import Worker

if TYPE_CHECKING:
    from boneage_roi.pipeline.engines import Read, Work

ITEMS_A_TASK = 8
"""Images that a lost machine costs at the most for each actor: they are read again."""

MOST_BLOCKS = 10_000


class ReadingActor:
    """Reads batches of items with one open bundle."""

    def __init__(self, settings: ReaderSettings, pixels: bool) -> None:
        self._worker = Worker(settings, pixels)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Outcomes of items, both pickled."""
        outcomes = [pickle.dumps(self._worker.read(pickle.loads(item))) for item in batch["item"]]
        return {"outcome": np.array(outcomes, dtype=object)}


def read_on_ray(work: "Work") -> "Read":
    """Read on the Ray cluster at an address; None starts one on this machine.

    Bundle and images must be at the same paths on every machine of the cluster, or in a store.

    Raises:
        InputError: Ray is not there, or no cluster at the address.
    """
    if find_spec("ray") is None:
        raise InputError('the engine ray needs ray; install it with: pip install "boneage-roi[ray]"')
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
    import ray

    mine = not ray.is_initialized()
    if mine:
        try:
            _knock(work.address)
            dashboard = None if work.address else False
            ray.init(work.address, include_dashboard=dashboard, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            said = " ".join(str(error).split())[:200]
            raise InputError(f"no Ray cluster at {work.address} ({said}); start one with: ray start --head") from None

    def read(items: Iterable[Item]) -> Iterator[Outcome]:
        try:
            yield from _outcomes(work, list(items))
        except ray.exceptions.RayError as error:
            raise InputError(f"Ray gave up: {str(error).strip().splitlines()[-1][:300]}") from error
        finally:
            if mine:
                ray.shutdown()

    return read


def _knock(address: str | None) -> None:
    """Make sure that somebody listens there: Ray itself tries for minutes.

    Raises:
        OSError: nobody does.
    """
    place = re.fullmatch(r"(?:ray://)?([^:/]+):(\d{1,5})", address or "")
    if place:
        socket.create_connection((place[1], int(place[2])), timeout=10).close()


def _outcomes(work: "Work", items: list[Item]) -> Iterator[Outcome]:
    import ray
    import ray.data

    if not items:
        return
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    cores = ray.cluster_resources().get("CPU", 1)
    most = work.workers or max(1, int(cores))
    blocks = min(MOST_BLOCKS, -(-len(items) // ITEMS_A_TASK))
    rows = ray.data.from_items([{"item": pickle.dumps(item)} for item in items], override_num_blocks=blocks)
    read = rows.map_batches(
        ReadingActor,
        fn_constructor_kwargs={"settings": work.settings, "pixels": work.pixels},
        batch_size=ITEMS_A_TASK,
        concurrency=(1, most),
        num_cpus=1,
    )
    for row in read.iter_rows():
        yield pickle.loads(row["outcome"])
