"""How many hands a second are read from file to row, how it grows with workers, and what a killed run loses.

    uv run python benchmarks/throughput.py speed hands/ --workers 1 2 --before ../the-checkout-before-workers
    uv run python benchmarks/throughput.py parts hands/
    uv run python benchmarks/throughput.py grow --seconds 0.1 --workers 1 2 4 8 16
    uv run python benchmarks/throughput.py files hands/ --files 20000
    uv run python benchmarks/throughput.py rows --rows 1000000
    uv run python benchmarks/throughput.py kills hands/ --inputs 2000 --kills 20

``speed`` reads the same hands by the loop (one process, a network thread a core) and by workers, in turns, so that
what else the machine does falls on all alike; ``--before`` adds the loop of an older checkout, such as commit
f344280. ``parts`` tells what a hand takes of one core, in the networks and beside them. ``grow`` puts a fixed time of
sleep in the place of the networks: what it finds is how far the process that hands out work and writes rows keeps up.
``files`` reads links to the given images and tells the memory of that process; ``--simulated`` leaves the networks
out. ``kills`` ends the command by SIGKILL at random moments and gives it again with ``--resume``: the file must be
the unbroken run's to the byte.
"""

import argparse
import csv
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any, cast

import cv2
import numpy as np

from boneage_roi.imaging.reading import list_images
from boneage_roi.onnx_session import Network
from boneage_roi.outputs.csv import csv_text
from boneage_roi.outputs.records import result_columns, result_row
from boneage_roi.pipeline.batch import Outcome, predict_files
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.engines import Work, read_here
from boneage_roi.pipeline.inputs import list_inputs
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.settings import ReaderSettings
from boneage_roi.pipeline.workers import predict_parallel
from boneage_roi.values import Analysis, BoneAge, HandFrame, HandMask, Radiograph

HERE = Path(__file__).parent
REGIONS = ("carpal",)
COMMAND = (sys.executable, "-c", "from boneage_roi.cli import main; main()", "predict")
WARM = 8


@dataclass(frozen=True)
class Sleeper:
    """In the place of a bundle: each hand takes the same time and no processor."""

    seconds: float

    def open(self, threads: int | None = None) -> "Sleeper":
        return self

    def analyse(self, radiograph: Radiograph) -> Analysis:
        time.sleep(self.seconds)
        mask = HandMask(np.ones(radiograph.pixels.shape, np.bool_), (50, 80), (50, 40), 0.9)
        frame = HandFrame(np.zeros((100, 80), np.uint8), np.array([[1.0, 0, 0], [0, 1, 0]]))
        return Analysis(radiograph, mask, frame, ())

    def read(self, analysis: Analysis) -> BoneAge:
        return BoneAge(100.0, 88.0, 112.0, "F", (), "sleeper")


def rate(outcomes: Iterator[Outcome], hands: int, regions: Sequence[str]) -> float:
    """Hands a second from file to the text of a row, after the first few."""
    columns = result_columns(regions)
    start = time.perf_counter()
    for done, outcome in enumerate(outcomes, 1):
        csv_text([result_row(outcome, regions)], columns)
        if done == WARM:
            start = time.perf_counter()
    return (hands - WARM) / (time.perf_counter() - start)


BEFORE = """
import sys, time
from pathlib import Path
from boneage_roi.outputs.csv import csv_text
from boneage_roi.outputs.records import result_columns, result_row
from boneage_roi.pipeline.batch import predict_files
from boneage_roi.pipeline.inputs import Item
from boneage_roi.pipeline.reader import BoneAgeReader
warm, tta, *paths = sys.argv[1:]
reader = BoneAgeReader(tta=tta == "True")
columns = result_columns(reader.regions)
for done, outcome in enumerate(predict_files(reader, [Item(path, sex="F") for path in paths]), 1):
    csv_text([result_row(outcome, reader.regions)], columns)
    if done == int(warm):
        start = time.perf_counter()
print((len(paths) - int(warm)) / (time.perf_counter() - start))
"""
"""The loop of a version without workers, in words that it knows."""


def rate_before(checkout: Path, items: Sequence[Item], *, tta: bool) -> float:
    """Hands a second of an older version, in a process of its own."""
    command = [sys.executable, "-c", BEFORE, str(WARM), str(tta), *(str(Path(item.path).absolute()) for item in items)]
    environment = os.environ | {"PYTHONPATH": str(checkout.absolute())}
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def speed(
    folder: Path, hands: int, workers: Sequence[int], rounds: int, before: Path | None, views: Sequence[str]
) -> None:
    """The loop of before, today's, and workers, in turns."""
    items = [Item(str(path), sex="F") for path in islice(cycle(list_images(folder)), hands)]
    bundle = Bundle.load()
    regions = bundle.manifest.regions
    for tta in (name == "all" for name in views):
        settings = ReaderSettings(bundle, tta)
        found: dict[str, list[float]] = {}
        for _ in range(rounds):
            if before:
                found.setdefault("before", []).append(rate_before(before, items, tta=tta))
            found.setdefault("loop", []).append(rate(read_here(Work(settings, 1))(items), hands, regions))
            for count in workers:
                outcomes = predict_parallel(settings, items, count)
                found.setdefault(f"{count} workers", []).append(rate(outcomes, hands, regions))
        print(named(bundle, tta))
        first = next(iter(found))
        for name, rates in found.items():
            times = median(one / other for one, other in zip(rates, found[first], strict=True))
            print(f"  {name:10}  {median(rates):6.2f} hands/s  {times:.2f} times {first}", flush=True)


def named(bundle: Bundle, tta: bool) -> str:
    """How a bundle looks at a hand, in words."""
    return f"{len(bundle.manifest.views)} views, the default" if tta else "one view (--no-tta)"


def parts(folder: Path, hands: int) -> None:
    """What a hand takes of one core: networks, which a GPU may take over, and all else, which it may not."""
    spent = [0.0]
    run = Network.__call__

    def timed(network: Network, *arguments: Any, **options: Any) -> Any:
        start = time.process_time()
        try:
            return run(network, *arguments, **options)
        finally:
            spent[0] += time.process_time() - start

    Network.__call__ = timed  # type: ignore[assignment, method-assign]
    cv2.setNumThreads(1)
    items = [Item(str(path), sex="F") for path in islice(cycle(list_images(folder)), hands + WARM)]
    for tta in (False, True):
        settings = ReaderSettings(Bundle.load(), tta)
        regions = settings.bundle.manifest.regions
        outcomes = predict_files(settings.open(threads=1), items)
        rate(islice(outcomes, WARM), WARM + 1, regions)
        spent[0], start = 0.0, time.process_time()
        rate(outcomes, hands, regions)
        whole = (time.process_time() - start) / hands
        inside = spent[0] / hands
        print(
            f"{named(settings.bundle, tta)}: {whole * 1e3:.1f} ms of one core a hand, "
            f"{inside * 1e3:.1f} of them in the networks, {(whole - inside) * 1e3:.1f} beside them",
            flush=True,
        )


def grow(seconds: float, hands: int, workers: Sequence[int]) -> None:
    """Fixed work a hand: how the rate grows with workers, and what the process in the middle needs a hand."""
    import throughput  # type: ignore[import-not-found]  # under the name that workers know it by

    with tempfile.TemporaryDirectory() as folder:
        items = [Item(str(_picture(Path(folder))), sex="F")]
        for count in workers:
            stream = items * (hands * count + WARM)
            settings = cast(ReaderSettings, throughput.Sleeper(seconds))
            before = time.process_time()
            found = rate(predict_parallel(settings, stream, count), len(stream), REGIONS)
            own = (time.process_time() - before) / len(stream)
            print(
                f"{count:3} workers  {found:7.1f} hands/s, {found / count * seconds:.0%} of what they could; "
                f"{own * 1e3:.2f} ms of the middle process a hand"
            )


def files(folder: Path, count: int, workers: int, *, simulated: bool) -> None:
    """Memory of the process that hands out and writes, and of its workers, while these read so many links."""
    with tempfile.TemporaryDirectory() as place:
        links = _links(folder, Path(place) / "links", count)
        if simulated:
            import throughput

            settings: Any = throughput.Sleeper(0)
            regions: Sequence[str] = REGIONS
        else:
            settings = ReaderSettings(Bundle.load(), tta=False)
            regions = settings.bundle.manifest.regions
        start = time.perf_counter()
        items = list_inputs(links)
        print(f"listed {len(items)} in {time.perf_counter() - start:.1f} s")
        columns, sizes = result_columns(regions), []
        with (Path(place) / "ages.csv").open("w") as table:
            for done, outcome in enumerate(predict_parallel(settings, items, workers), 1):
                table.write(csv_text([result_row(outcome, regions)], columns))
                if done % max(1, count // 10) == 0:
                    own, workers_own = _resident(Path("/proc/self")), [*map(_resident, _children())]
                    sizes.append((own, max(workers_own, default=0)))
                    print(
                        f"{done:7} rows  {done / (time.perf_counter() - start):6.1f}/s  {own:.0f} MB, "
                        f"workers {', '.join(f'{size:.0f}' for size in workers_own)} MB",
                        flush=True,
                    )
        (first, worker), (last, other) = sizes[0], sizes[-1]
        print(f"memory from a tenth to the end: {last - first:+.1f} MB, largest worker {other - worker:+.1f} MB")


def rows(count: int) -> None:
    """Seconds until the first of so many rows of a manifest is there."""
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        table = pd.DataFrame({"path": [f"images/{row:08}.png" for row in range(count)], "sex": "F"})
        table.to_csv(Path(folder) / "m.csv", index=False)
        table.to_parquet(Path(folder) / "m.parquet")
        for name in ("m.csv", "m.parquet"):
            start, worked = time.perf_counter(), time.process_time()
            items = list_inputs(Path(folder) / name)
            print(
                f"{name}: {len(items)} rows in {time.perf_counter() - start:.1f} s "
                f"({time.process_time() - worked:.1f} s of the processor)"
            )
            del items
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")


def kills(folder: Path, inputs: int, count: int, workers: int) -> int:
    """Kill the command so many times, let it end, and compare."""
    moments = random.Random(0)
    with tempfile.TemporaryDirectory() as place:
        links = _links(folder, Path(place) / "links", inputs)
        options = [str(links), "--no-tta", "--sex", "F", "--workers", str(workers), "--output"]
        start = time.perf_counter()
        done = subprocess.run([*COMMAND, *options, f"{place}/whole.csv"], stdout=subprocess.DEVNULL)
        kept = sum(
            row["status"] != "error" for row in csv.DictReader(Path(place, "whole.csv").read_text().splitlines())
        )
        print(f"unbroken: {time.perf_counter() - start:.0f} s, {kept} rows that need not be read again", flush=True)
        journal, killed, most = Path(place) / "ages.csv.journal", 0, 0
        while True:
            process = subprocess.Popen([*COMMAND, *options, f"{place}/ages.csv", "--resume"], stdout=subprocess.DEVNULL)
            before = _lines(journal)
            wanted = before + moments.randint(1, max(1, 2 * kept // (count + 1) - 1)) if killed < count else 2**60
            while process.poll() is None and _lines(journal) < wanted:
                time.sleep(moments.uniform(0, 0.1))
            if process.poll() is not None:
                break
            process.kill()
            process.wait()
            killed += 1
            most = max(most, _lines(journal))
            print(f"kill {killed} after {most} rows", flush=True)
        same = Path(place, "ages.csv").read_bytes() == Path(place, "whole.csv").read_bytes()
        verdict = "equal" if same else "DIFFERENT"
        print(f"{killed} kills, exit code {process.returncode}; the files are {verdict} to the byte")
        return 0 if same and process.returncode == done.returncode else 1


def _links(folder: Path, place: Path, count: int) -> Path:
    place.mkdir()
    for number, path in enumerate(islice(cycle(list_images(folder)), count)):
        (place / f"{number:06}{path.suffix}").symlink_to(path.absolute())
    return place


def _picture(folder: Path) -> Path:
    path = folder / "a.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (100, 80), dtype=np.uint8))
    return path


def _lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def _resident(process: Path) -> float:
    """Memory of a process, MB; ``process`` is its folder in /proc."""
    return int((process / "statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def _children() -> list[Path]:
    tasks = Path("/proc/self/task").glob("*/children")
    return [Path("/proc") / child for task in tasks for child in task.read_text().split()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    parser.add_argument("what", choices=("speed", "parts", "grow", "files", "rows", "kills"))
    parser.add_argument("folder", type=Path, nargs="?", default=HERE.parent / "examples", help="of images")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--views", nargs="+", default=["1", "all"], choices=("1", "all"), help="of speed")
    parser.add_argument("--before", type=Path, metavar="DIR", help="speed: a checkout of an older version")
    parser.add_argument("--hands", type=int, default=60, help="of speed, and of each worker in grow")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.1, help="of a hand in grow")
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--simulated", action="store_true", help="files: without networks")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    given = parser.parse_args()
    if given.before is not None and not (given.before / "boneage_roi").is_dir():
        parser.error(f"--before {given.before}: no checkout of this package")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])  # workers import Sleeper
    if given.what == "speed":
        speed(given.folder, given.hands, given.workers, given.rounds, given.before, given.views)
    elif given.what == "parts":
        parts(given.folder, given.hands)
    elif given.what == "grow":
        grow(given.seconds, given.hands, given.workers)
    elif given.what == "files":
        files(given.folder, given.files, given.workers[-1], simulated=given.simulated)
    elif given.what == "rows":
        rows(given.rows)
    else:
        sys.exit(kills(given.folder, given.inputs, given.kills, given.workers[-1]))


if __name__ == "__main__":
    from script import run_script

    run_script(main)
