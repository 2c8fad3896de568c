"""How fast a bundle reads one radiograph: as a cold command, and stage by stage once it is open.

    uv run python benchmarks/speed.py
    uv run python benchmarks/speed.py hand.png --sex F --bundle runs/default/bundle --runs 9
    uv run --extra train python benchmarks/speed.py --peers --runs 9

The cold time is that of ``boneage-roi predict IMAGE`` in a new process, from its start to its end; the peak memory is
that process's. Every number is the median of ``--runs`` runs. Files are in the system's cache: one run goes before.

``--peers`` times this package from file to bone age, with and without test-time augmentation, and the forward passes
alone of networks that others read whole hands with, in turns in one process, with the same number of threads.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from boneage_roi.aspect.runtime import AspectMeter
from boneage_roi.detection.finders import open_finder
from boneage_roi.detection.naming import name_boxes
from boneage_roi.imaging.frame import hand_frame
from boneage_roi.imaging.reading import read_radiograph
from boneage_roi.imaging.steps import apply_steps
from boneage_roi.pipeline import BoneAgeReader, Bundle
from boneage_roi.regional_models.bones import BONES_FILE, read_bones, read_scales
from boneage_roi.values import Analysis, RegionReading, Sex

EXAMPLE = Path(__file__).parents[1] / "examples" / "girl-10y.png"
COMMAND = (sys.executable, "-c", "from boneage_roi.cli import main; main()", "predict")


class Stages:
    """The stages of a bundle, each timed by itself; together they are what a reader does."""

    def __init__(self, bundle: Bundle, *, tta: bool) -> None:
        manifest = bundle.manifest
        self._reader = BoneAgeReader(bundle, tta=tta)
        self._frame_size, self._steps = manifest.frame_size, manifest.steps
        network = None if manifest.finder.file is None else bundle.file(manifest.finder.file)
        self._finder = open_finder(manifest.finder.kind, network, manifest.finder.regions)
        self._meter = None
        if manifest.aspect is not None:
            self._meter = AspectMeter(bundle.file(manifest.aspect.file), manifest.aspect.limit)
        self._scales = read_scales(bundle.file(BONES_FILE)) if BONES_FILE in manifest.files else {}

    def run(self, image: Path, sex: Sex) -> Iterator[str]:
        """Read one radiograph; gives a stage's name whenever one is done."""
        reader = self._reader
        radiograph = read_radiograph(image)
        yield "read the file"
        mask = reader.segment(radiograph)
        yield "segment"
        frame = hand_frame(radiograph, mask, self._frame_size)
        yield "cut the hand frame"
        wide = 1.0 if self._meter is None else self._meter.squash(frame, mask)
        frame = apply_steps(frame, mask, self._steps)
        yield "measure the aspect"
        boxes = name_boxes(self._finder(frame))
        yield "find and name the regions"
        reader.assess(reader.with_boxes(Analysis(radiograph, mask, frame, (), wide), boxes))
        yield "quality gate"
        readings: list[RegionReading] = []
        for region, read in reader.readers.items():
            reading = read(frame, list(boxes), sex)
            readings += [reading] if reading else []
            yield f"region: {region}"
        reader.fuse(readings, sex)
        yield "fuse"
        read_bones(reader.readers, self._scales, frame, boxes, sex, readings)
        yield "each bone alone"


def cold_run(image: Path, sex: Sex, bundle: Path | None, *, tta: bool) -> tuple[float, float]:
    """Seconds and peak megabytes of one ``predict`` in a process of its own."""
    options = ["--tta" if tta else "--no-tta", *(["--bundle", str(bundle)] if bundle else [])]
    start = time.perf_counter()
    process = subprocess.Popen([*COMMAND, str(image), "--sex", sex, *options], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    unit = 1e6 if sys.platform == "darwin" else 1e3  # macOS counts bytes, Linux kilobytes
    return seconds, usage.ru_maxrss / unit


def warm_runs(stages: Stages, image: Path, sex: Sex, runs: int) -> dict[str, float]:
    """Median seconds of every stage."""
    times: dict[str, list[float]] = {}
    for _ in range(runs + 1):
        start = time.perf_counter()
        for name in stages.run(image, sex):
            now = time.perf_counter()
            times.setdefault(name, []).append(now - start)
            start = now
    return {name: median(measured[1:]) for name, measured in times.items()}


Times = dict[str, list[tuple[float, float]]]
"""Seconds on the clock and of the processor, of every run."""


def beside_peers(bundle: Bundle, image: Path, sex: Sex, runs: int, threads: int) -> Times:
    """Times of this package and of its peers, in turns: each is measured under the same conditions."""
    from peers import open_peers

    with TemporaryDirectory() as folder:
        peers = open_peers(Path(folder), threads)
    readers = {tta: BoneAgeReader(bundle, tta=tta, threads=threads) for tta in (True, False)}
    work: dict[str, Callable[[], object]] = {
        f"this package, {'all its views' if tta else 'one view'}, file to bone age": partial(
            reader.predict, image, sex=sex
        )
        for tta, reader in readers.items()
    }
    work |= {f"{peer.name}, forward passes": peer.run for peer in peers}
    times = Times()
    for _ in range(runs + 1):
        for name, do in work.items():
            start, spent = time.perf_counter(), time.process_time()
            do()
            taken = time.perf_counter() - start, time.process_time() - spent
            times.setdefault(name, []).append(taken)
    return {name: measured[1:] for name, measured in times.items()}


def show_peers(times: Times, threads: int) -> None:
    """Medians, and how often this package fits into each, by the clock and by the processor's time."""
    first = next(iter(times))
    table = Table("", title=f"beside peers, {threads} threads, {len(times[first])} runs", title_justify="left")
    for heading in ("clock", "times the first", "processor", "times the first"):
        table.add_column(heading, justify="right")
    for name, measured in times.items():
        cells = []
        for own, other in zip(zip(*times[first], strict=True), zip(*measured, strict=True), strict=True):
            ratio = median(theirs / ours for theirs, ours in zip(other, own, strict=True))
            cells += [f"{median(other) * 1e3:.0f} ms", f"{ratio:.2f}"]
        table.add_row(name, *cells)
    Console().print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How fast a bundle reads one radiograph.")
    parser.add_argument("image", type=Path, nargs="?", default=EXAMPLE)
    parser.add_argument("--sex", choices=("M", "F"), default="F")
    parser.add_argument("--bundle", type=Path, help="default: the shipped one")
    parser.add_argument("--no-tta", action="store_true", help="without test-time augmentation")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peers", action="store_true", help="beside networks of the field; needs PyTorch")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of each network, with --peers")
    options = parser.parse_args()

    if options.peers:
        bundle = Bundle.load(options.bundle)
        times = beside_peers(bundle, options.image, options.sex, options.runs, options.threads)
        show_peers(times, options.threads)
        return
    tta = not options.no_tta
    cold = [cold_run(options.image, options.sex, options.bundle, tta=tta) for _ in range(options.runs + 1)][1:]
    bundle = Bundle.load(options.bundle)
    start = time.perf_counter()
    stages = Stages(bundle, tta=tta)
    opened = time.perf_counter() - start
    warm = warm_runs(stages, options.image, options.sex, options.runs)

    size = sum(bundle.bytes(name) for name in bundle.manifest.files) / 1e6
    table = Table("", title=f"{bundle.manifest.name}, {size:.1f} MB, {os.cpu_count()} cores", title_justify="left")
    table.add_column("median", justify="right")
    table.add_row("cold process", f"{median(seconds for seconds, _ in cold):.2f} s")
    table.add_row("its peak memory", f"{median(peak for _, peak in cold):.0f} MB", end_section=True)
    table.add_row("open the networks", f"{opened * 1e3:.0f} ms")
    for name, seconds in warm.items():
        table.add_row(name, f"{seconds * 1e3:.1f} ms")
    table.add_section()
    table.add_row("one hand, warm", f"{sum(warm.values()) * 1e3:.0f} ms")
    Console().print(table)


if __name__ == "__main__":
    from script import run_script

    run_script(main)
