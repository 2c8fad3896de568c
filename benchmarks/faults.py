"""What is lost when commands are killed, disks are full, pipes close, threads share a reader or a process reads long.

    uv run python benchmarks/faults.py --kills 50 --predictions 500

    uv run --extra train python benchmarks/faults.py --kills 50 --predictions 500 --train

Works on the radiographs in ``examples/`` and prints a table: how often each fault was tried, how often all was well
after it, and how often something was lost: an input or an earlier result changed, half a file under its full name, the
same command unable to go on, another answer, a traceback, or memory that grows.
"""

import csv
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from boneage_roi.errors import InputError
from boneage_roi.pipeline import BoneAgeReader
from boneage_roi.values import BoneAge

EXAMPLES = Path(__file__).parents[1] / "examples"
RUN = [sys.executable, "-m", "boneage_roi"]
MOST_GROWTH = 64
"""Megabytes that a process may grow by between its 50th prediction and its last."""


@dataclass
class Tried:
    """A kind of fault: how often it was tried, and what was lost."""

    name: str
    times: int = 0
    lost: list[str] = field(default_factory=list)

    def judge(self, faults: list[str]) -> None:
        """Count one more try."""
        self.times += 1
        if faults:
            self.lost.append("; ".join(faults))


PARTS = ("kills", "disks", "pipes", "threads", "long")


def main(
    parts: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(PARTS)}; all when none is given.")] = None,
    kills: int = 50,
    predictions: int = 500,
    limits: int = 12,
    seed: int = 0,
    train: bool = False,
) -> None:
    """Try every fault.

    Args:
        parts: which faults; several processes can share them.
        kills: SIGKILLs at random moments, shared out among the commands.
        predictions: in one process.
        limits: sizes at which the disk is full.
        seed: of the moments.
        train: also a training on demo data, and the export of its bundle; these need the training packages.
    """
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        hands = place / "hands"
        shutil.copytree(EXAMPLES, hands, ignore=shutil.ignore_patterns("*.py", "*.md"))
        tried = []
        for part in parts or PARTS:
            tried += trials(part, place, hands, kills, predictions, limits, seed, train)
    print("| fault | tried | survived | lost |\n|---|---|---|---|")
    for one in tried:
        print(f"| {one.name} | {one.times} | {one.times - len(one.lost)} | {len(one.lost)} |")
    for one in tried:
        for what in one.lost:
            print(f"{one.name}: {what}")
    sys.exit(any(one.lost for one in tried))


def trials(
    part: str, place: Path, hands: Path, kills: int, predictions: int, limits: int, seed: int, train: bool
) -> list[Tried]:
    """One part of the faults; see :func:`main`."""
    match part:
        case "kills":
            tried_commands = [*commands(hands), *(training_commands(place) if train else [])]
            share = -(-kills // len(tried_commands))
            return [killed(command, hands, share, random.Random(seed)) for command in tried_commands]
        case "disks":
            return [full(command, hands, limits) for command in commands(hands)]
        case "pipes":
            return [piped(hands)]
        case "threads":
            return [threads(hands)]
        case "long":
            return [long_process(hands, predictions)]
    raise InputError(f"{part}: not among the faults; known are {', '.join(PARTS)}")


@dataclass(frozen=True)
class Command:
    """A command that writes into ``out`` beside the hands, and what may differ between two of its results."""

    name: str
    arguments: tuple[str, ...]
    out: Path
    same: str = "."
    """The part of ``out`` that must come out the same."""


def commands(hands: Path) -> list[Command]:
    """What is tried; each writes several kinds of files."""
    out, few = hands.parent / "out", [str(path) for path in sorted(hands.glob("girl-*.png"))[:3]]
    options = ("--output", str(out / "ages.json"), "--overlay", str(out / "drawn"))
    evaluation = ("--output", str(out), "--worst", "2", "--limit", "3", "--no-tta")
    return [
        Command("predict", ("predict", *few, "--sex", "F", "--no-tta", *options), out),
        Command("detect", ("detect", *few, "--output", str(out)), out),
        Command("evaluate", ("evaluate", str(hands / "manifest.csv"), *evaluation), out),
        Command("prepare", ("prepare", str(hands / "manifest.csv"), "--run", str(out)), out),
    ]


PRESET = """
name: faults
start: default
start_regions: false
segmenter: {size: 256}
detector: {size: 256}
frame_size: [512, 416]
views: [{}]
regions:
  hand: {size: [40, 32], margin: 0.0, stages: 3, weights: none, batch: 8, rounds: [{epochs: 2}, {epochs: 2}]}
  carpal: {size: [32, 32], stages: 3, weights: none, batch: 8, rounds: [{epochs: 2}]}
fusion: {folds: 2, epochs: 3}
"""
"""Segmenter and detector of the shipped bundle, and networks that learn next to nothing."""


def training_commands(place: Path) -> list[Command]:
    """A training of seconds on demo data, and the export of a run that was trained before."""
    data, run_folder, trained = place / "demo", place / "trained-anew", place / "trained"
    (place / "faults.yaml").write_text(PRESET)
    subprocess.run([*RUN, "demo", str(data), "--examples", str(EXAMPLES), "--copies", "3"], check=True)
    words = ("train", str(data / "hands.csv"), "--preset", str(place / "faults.yaml"), "--run")
    subprocess.run([*RUN, *words, str(trained)], check=True)
    return [
        Command("train", (*words, str(run_folder)), run_folder, "bundle"),
        Command("export", ("export", str(trained)), trained / "bundle", "."),
    ]


def killed(command: Command, hands: Path, times: int, moments: random.Random) -> Tried:
    """SIGKILL at random moments; what was there stays whole, and the same command goes on to the same result."""
    print(f"killing {command.name}", file=sys.stderr, flush=True)
    tried = Tried(f"`{command.name}` killed")
    before = digests(hands)
    shutil.rmtree(command.out, ignore_errors=True)
    started = time.monotonic()
    run(command)
    seconds = time.monotonic() - started
    whole = results(command.out / command.same)
    for _ in range(times):
        bundle = command.out / "manifest.json"
        if command.name != "export" and moments.random() < 0.5:  # half of them begin with nothing there
            shutil.rmtree(command.out, ignore_errors=True)
        with subprocess.Popen([*RUN, *command.arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as one:
            time.sleep(moments.uniform(0.3, 1.0) * seconds)
            one.send_signal(signal.SIGKILL)
        faults = [f"half a file: {name}" for name in torn(command.out)]
        faults += ["an input changed"] if digests(hands) != before else []
        if command.name == "export" and not bundle.is_file():
            faults.append("the bundle that was there is gone")
        tried.judge(faults)
    done = run(command)
    faults = [f"cannot go on: {done.stderr.strip()[:200]}"] if done.returncode else []
    faults += ["another result after kills"] if results(command.out / command.same) != whole else []
    if faults:
        tried.lost.append("; ".join(faults))
    return tried


def full(command: Command, hands: Path, times: int) -> Tried:
    """No file may grow beyond a size, as on a full disk: one line names the file, and earlier results stay."""
    tried = Tried(f"`{command.name}` on a full disk")
    before = digests(hands)
    shutil.rmtree(command.out, ignore_errors=True)
    run(command)
    whole = results(command.out)
    largest = max((path.stat().st_size for path in command.out.rglob("*") if path.is_file()), default=1)
    for step in range(times):
        size = largest * step // times
        done = run(command, partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, size)))
        lines = done.stderr.strip().splitlines()
        faults = [f"half a file: {name}" for name in torn(command.out)]
        faults += ["an input changed"] if digests(hands) != before else []
        faults += ["an earlier result changed"] if done.returncode == 2 and lost(whole, results(command.out)) else []
        if done.returncode == 2 and not (len(lines) == 1 and lines[0].startswith("error: ") and "/" in lines[0]):
            faults.append(f"not one line that names the file: {done.stderr.strip()[-300:]}")
        faults += [f"exit {done.returncode}: {done.stderr[-200:]}"] if done.returncode not in (0, 2) else []
        tried.judge(faults)
    return tried


def piped(hands: Path) -> Tried:
    """Whoever reads the output leaves early, or was never there."""
    tried = Tried("closed pipes and streams")
    hand = str(next(hands.glob("girl-*.png")))
    lines = ('"$@" | true', '"$@" | head -n 1', '"$@" >&-', '"$@" 2>&-', '"$@" 2>&1 | true', '"$@" <&- >&- 2>&-')
    for arguments in (("predict", hand, "--sex", "F", "--no-tta"), ("predict", hand, "--json"), ("info",), ("--help",)):
        for line in lines:
            words = ["bash", "-o", "pipefail", "-c", line, "bash", *RUN, *arguments]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            said = done.stderr + (done.stdout if "Traceback" in done.stdout else "")
            tried.judge(
                [f"{line} {arguments[0]}: exit {done.returncode} {said[-200:]}"] if done.returncode or said else []
            )
    return tried


def threads(hands: Path) -> Tried:
    """Eight threads share one reader: the same answers to the bit."""
    tried = Tried("8 threads, one reader")
    reader = BoneAgeReader(tta=False)
    paths = sorted(hands.glob("*.png"))
    alone = {path: answer(reader.predict(path, sex="F")) for path in paths}
    with ThreadPoolExecutor(8) as pool:
        for path, age in pool.map(lambda path: (path, reader.predict(path, sex="F")), paths * 5):
            tried.judge([] if answer(age) == alone[path] else [f"{path.name}: another answer"])
    return tried


def long_process(hands: Path, times: int) -> Tried:
    """Many predictions in one process: the same answers to the bit, and memory that stays flat."""
    tried = Tried("predictions in one process")
    reader = BoneAgeReader(tta=False)
    paths = sorted(hands.glob("*.png"))
    first: dict[Path, str] = {}
    early = 0.0
    for number in range(times):
        path = paths[number % len(paths)]
        said = answer(reader.predict(path, sex="F"))
        tried.judge([] if first.setdefault(path, said) == said else [f"{path.name}: another answer"])
        if number == 50:
            early = megabytes()
    growth = megabytes() - early if early else 0.0
    print(f"memory: {megabytes():.0f} MB, {growth:+.0f} MB since the 50th prediction", file=sys.stderr)
    if growth > MOST_GROWTH:
        tried.lost.append(f"{growth:.0f} MB more than after 50 predictions")
    return tried


def run(command: Command, before: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*RUN, *command.arguments],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=before,
    )


def answer(age: BoneAge) -> str:
    """A reading, to the bit."""
    return repr((age.months, age.lower, age.upper, [reading.distribution.tobytes() for reading in age.readings]))


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file."""
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def results(out: Path) -> dict[str, str]:
    """SHA-256 of every finished file; the lists of what was made grow, and partial files are none."""
    kept = digests(out).items()
    made = {name: sha for name, sha in kept if not Path(name).name.startswith(".") and not name.endswith(".partial")}
    manifest = out / "manifest.json"
    if manifest.is_file():  # of a bundle, which says when it was made and how long that took
        content = json.loads(manifest.read_text()) | {"created": "", "training_seconds": None}
        made[str(manifest)] = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return made


def lost(before: dict[str, str], after: dict[str, str]) -> bool:
    """Whether a file is gone, or has another content: the same command gives the same."""
    return any(after.get(name) != sha for name, sha in before.items())


def torn(out: Path) -> list[str]:
    """Files under their full names that are not whole."""
    faults = []
    for path in out.rglob("*"):
        if not path.is_file() or path.name.startswith(".") or path.suffix == ".partial":
            continue
        data = path.read_bytes()
        try:
            if path.suffix == ".json":
                json.loads(data)
            elif path.suffix == ".csv":
                rows = list(csv.reader(data.decode().splitlines()))
                assert data.endswith(b"\n") and len({len(row) for row in rows}) == 1  # noqa: PT018
            elif path.suffix == ".png":
                assert data.endswith(b"IEND\xaeB`\x82")
        except (ValueError, AssertionError):
            faults.append(path.name)
    return faults


def megabytes() -> float:
    """Memory that the process holds now."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    from script import run_typed

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    run_typed(main)
