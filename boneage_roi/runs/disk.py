"""What a run takes on disk, and what of it can be made again."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from boneage_roi.runs import layout, plan
from boneage_roi.runs.run import Run

CHECKPOINTS = ("*.ckpt", "*.partial")


@dataclass(frozen=True)
class Spare:
    """A file that can be made again.

    Attributes:
        path: the file.
        bytes: its size on disk.
        again: what makes it again, in words.
    """

    path: Path
    bytes: int
    again: str


@dataclass(frozen=True)
class Size:
    """What a part of a run takes.

    Attributes:
        name: a stage, or a file or folder of the run.
        state: of a stage: ``finished`` or ``begun``; else empty.
        bytes: on disk.
        spare: so many of them can be made again.
    """

    name: str
    state: str
    bytes: int
    spare: int


def sizes(run: Run) -> list[Size]:
    """What every part of a run takes; stages first, in their order."""
    spare = spares(run)
    stages = [stage for stage in _stages(run) if (run.path / stage).is_dir()]
    tops = {stage.partition("/")[0] for stage in stages}
    others = [path.name for path in sorted(run.path.iterdir()) if path.name not in tops]
    return [
        Size(
            name,
            ("finished" if run.metrics(name) is not None else "begun") if name in stages else "",
            _bytes(run.path / name),
            sum(each.bytes for each in spare if each.path.is_relative_to(run.path / name)),
        )
        for name in (*stages, *others)
    ]


def spares(run: Run) -> list[Spare]:
    """The files of a run that can be made again: checkpoints of finished stages, hand frames, cut crops and samples.

    Exported networks, metrics, records, boxes and readings are none, nor are hand frames whose images or whose
    segmenter are gone.
    """
    return list(_spares(run))


def clean(run: Run) -> int:
    """Take away what can be made again; stages stay finished. Returns the bytes."""
    total = 0
    for each in spares(run):
        each.path.unlink(missing_ok=True)
        total += each.bytes
    return total


def _spares(run: Run) -> Iterator[Spare]:
    for stage in _stages(run):
        folder = run.path / stage
        if run.metrics(stage) is None or not folder.is_dir():
            continue
        if stage == layout.FRAMES and _can_be_cut_again(run):
            again = "the next stage that needs them cuts them again"
            yield from _existing((folder / name for name in layout.FRAME_FILES[:-1]), again)
        elif stage in plan.trained_stages(run.config):
            found = sorted(path for pattern in CHECKPOINTS for path in folder.glob(pattern))
            yield from _existing(found, "nothing needs them: the stage is finished")
            if stage == layout.ASPECT:
                yield from _existing([folder / layout.SAMPLES_FILE], "`train-aspect --retrain` makes them")
        if stage.startswith(layout.REGIONS):
            yield from _existing(sorted(folder.glob(f"*{layout.CROPS_FILE}")), "a stopped training left them")


def _can_be_cut_again(run: Run) -> bool:
    return run.network(layout.SEGMENTER).is_file() and all(Path(name).is_file() for name in run.manifest["path"])


def _existing(paths: Iterator[Path] | list[Path], again: str) -> Iterator[Spare]:
    for path in paths:
        if path.is_file() and not path.is_symlink():
            yield Spare(path, _bytes(path), again)


def _stages(run: Run) -> list[str]:
    """Every stage that may have a folder, in the order in which they are made."""
    first = [layout.SEGMENTER, layout.ASPECT, layout.FRAMES, layout.DETECTOR, layout.BOXES]
    regions = [layout.region_stage(region) for region in run.config.regions]
    readings = sorted(str(path.relative_to(run.path)) for path in (run.path / layout.READINGS).glob("*/*"))
    return [*first, *regions, *readings, layout.FUSION, layout.QUALITY]


def _bytes(path: Path) -> int:
    """What a file or a folder takes on disk; holes in a file take nothing."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.lstat().st_blocks * 512 for each in files)
