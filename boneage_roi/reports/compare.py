"""Several systems on the same hands, side by side: runs, bundles, one's own method and those of the literature."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boneage_roi.datasets.manifest import find_table
from boneage_roi.errors import InputError
from boneage_roi.imaging.reading import read_radiograph
from boneage_roi.metrics import AGE_BANDS, age_band, error_statistics, paired_difference
from boneage_roi.onnx_check import parameters
from boneage_roi.outputs.csv import frame_csv
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.pipeline.bundle import DEFAULT_BUNDLE, Bundle
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.pipeline.tables import manifest_items, read_table
from boneage_roi.progress import Progress
from boneage_roi.reports.evaluate import Report, evaluate
from boneage_roi.runs.run import Run

FILES = ("comparison.csv", "comparison.md", "comparison.png")

TIMED = 5
"""So many hands are read once more, one after the other, to tell how long one takes."""


Sizes = dict[str, tuple[int, int] | None]
"""Path of an image -> the native (width, height) that the table of hands tells."""


@dataclass(frozen=True)
class System:
    """What is compared.

    Attributes:
        name: of its bundle; with the folder's name where two bundles have the same.
        place: name of the folder of its report, whatever the bundle calls itself.
        bundle: its bundle.
        run: the training that made it, where that is known.
    """

    name: str
    place: str
    bundle: Bundle
    run: Run | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """What came of it.

    Attributes:
        table: a row a system; see :func:`compare`.
        reports: each system's evaluation, by its name.
        folder: where the files are; None when none were written.
    """

    table: pd.DataFrame
    reports: dict[str, Report] = field(repr=False)
    folder: Path | None = None


def compare(
    systems: Sequence[str | Path],
    manifest: str | Path | None = None,
    *,
    split: str | None = "test",
    output: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    tta: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Comparison:
    """Evaluate systems on the same hands, and tell their errors apart.

    Args:
        systems: folders of runs or of bundles; ``default`` is the shipped bundle.
        manifest: the hands; None takes those of the first run.
        split: only rows with this value in the column ``split``; None takes all.
        output: folder of ``comparison.csv``, ``.md`` and ``.png``, and of a report for each system; None writes
            nothing. A stopped comparison goes on where it was.
        limit, seed: only so many hands, drawn at random; the same for every system.
        tta: test-time augmentation.
        overwrite: write over files that no comparison made; never over inputs.
        progress: is told how many hands of a system are done.

    Returns:
        Its table has a row a system: ``name``, ``hands``, ``predicted``, ``mae`` with ``mae_low`` and ``mae_high``,
        ``rmse``, ``within_12``, ``within_24``, ``bias`` and that of each age band, ``parameters``, ``megabytes`` of the
        bundle, ``milliseconds`` a hand, ``training_hours``, ``started_from``, and ``difference`` with its ends: its
        error less that of the first system on hands that both read (95 % paired bootstrap interval).

    Raises:
        InputError: a folder is neither run nor bundle, no manifest is known, or a system has learnt from the hands.

    Example::

        comparison = br.compare(["runs/mine", "runs/tj-net", "default"], output="comparison")
        comparison.table[["name", "mae", "difference"]]
    """
    opened = _open(systems)
    table = _hands(opened, manifest)
    hands = read_table(table, labels=True)
    for system in opened:
        _refuse_learnt(system, hands, split)
    folder = None if output is None else Path(output)
    outputs = OutputFiles("compare", [table, *hands["path"]], overwrite=overwrite)
    if folder is not None:
        for name in FILES:
            outputs.claim(folder / name)
    reports = {
        system.name: evaluate(
            table,
            system.bundle,
            split=split,
            output=None if folder is None else folder / system.place,
            limit=limit,
            seed=seed,
            worst=0,
            tta=tta,
            overwrite=overwrite,
            progress=progress,
        )
        for system in opened
    }
    sizes = {item.path: item.native_size for item in manifest_items(hands, table.parent)}
    rows = [_row(system, reports, opened[0].name, tta, sizes) for system in opened]
    found = Comparison(pd.DataFrame(rows), reports, folder)
    if folder is not None:
        _write(found, folder, outputs)
    return found


def _open(systems: Sequence[str | Path]) -> list[System]:
    if not systems:
        raise InputError("nothing to compare; give folders of runs or bundles")
    opened: list[System] = []
    for place in systems:
        folder = DEFAULT_BUNDLE if str(place) == "default" and not Path(place).exists() else Path(place)
        run = Run(folder) if (folder / "bundle" / "manifest.json").is_file() else None
        if run is None and not (folder / "manifest.json").is_file():
            raise InputError(f"{folder}: neither a bundle nor a finished run; `boneage-roi export {folder}` makes one")
        bundle = Bundle.load(folder if run is None else run.bundle)
        name = bundle.manifest.name
        if any(name == other.name for other in opened):
            name = f"{name} ({folder.name})"
        if any(name == other.name for other in opened):
            raise InputError(f"{folder}: given twice, or another folder of this name has a bundle of the same name")
        opened.append(System(name, _place(name, [other.place for other in opened]), bundle, run))
    return opened


def _place(name: str, taken: Sequence[str]) -> str:
    """A folder's name for what a bundle calls itself, which may be a path."""
    plain = re.sub(r"[^A-Za-z0-9._() -]+", "_", name).strip(". ")[:100] or "system"
    return next(place for place in chain([plain], (f"{plain} {number}" for number in count(2))) if place not in taken)


def _hands(systems: Sequence[System], manifest: str | Path | None) -> Path:
    if manifest is not None:
        return find_table(Path(manifest))
    runs = [system.run for system in systems if system.run is not None]
    if not runs:
        raise InputError("no run is among them that would say on which hands; give --manifest")
    return runs[0].path / "manifest.csv"


def _refuse_learnt(system: System, hands: pd.DataFrame, split: str | None) -> None:
    """Refuse a run that has learnt from a hand that it is to be measured on."""
    if system.run is None:
        return
    if split is not None and "split" in hands:
        hands = hands[hands["split"] == split]
    own = system.run.manifest
    learnt = set(own["id"][own["split"] != "test"]) & set(hands["id"].astype(str))
    if learnt:
        raise InputError(
            f"{system.run.path}: has learnt from {len(learnt)} of the {len(hands)} hands (the first is {min(learnt)}); "
            "its error would look too small: compare on hands that no system has learnt from"
        )


def _row(system: System, reports: dict[str, Report], first: str, tta: bool, sizes: Sizes) -> dict[str, Any]:
    report, manifest = reports[system.name], system.bundle.manifest
    seen = report.predictions[report.predictions["bone_age_months"].notna()]
    row: dict[str, Any] = {"name": system.name, "hands": len(report.predictions), "predicted": len(seen)}
    if len(seen):
        found = error_statistics(seen["boneage"], seen["bone_age_months"])
        row |= {"mae": found["mae"].value, "mae_low": found["mae"].low, "mae_high": found["mae"].high}
        row |= {name: found[name].value for name in ("rmse", "within_12", "within_24", "bias")}
        errors = (seen["bone_age_months"] - seen["boneage"]).groupby(age_band(seen["boneage"]), observed=True).mean()
        row |= {f"bias {band}": errors.get(band, np.nan) for band in AGE_BANDS}
    files = [system.bundle.file(network.file) for network in manifest.networks]
    regions = manifest.metrics.get("regions") or {}
    started = {str(one["started_from"]) for one in regions.values() if isinstance(one, dict) and "started_from" in one}
    seconds = manifest.metrics.get("training_seconds")
    row |= {
        "parameters": sum(parameters(file.read_bytes()) for file in files),
        "megabytes": sum(system.bundle.bytes(name) for name in manifest.files) / 1e6,
        "milliseconds": _milliseconds(system, seen, tta, sizes),
        "training_hours": seconds / 3600 if seconds else np.nan,
        "started_from": ", ".join(sorted(started)),
    }
    both = _both(seen, reports[first])
    if system.name != first and len(both):
        ages = both["boneage_x"]
        difference = paired_difference(both["bone_age_months_x"] - ages, both["bone_age_months_y"] - ages)
        row |= {
            "difference": difference.value,
            "difference_low": difference.low,
            "difference_high": difference.high,
        }
    return row


def _both(seen: pd.DataFrame, other: Report) -> pd.DataFrame:
    """The hands that two systems read, by their image: columns of the first end in ``_x``, of the other in ``_y``."""
    theirs = other.predictions[other.predictions["bone_age_months"].notna()]
    columns = ["path", "boneage", "bone_age_months"]
    return seen[columns].merge(theirs[columns], on="path")


def _milliseconds(system: System, seen: pd.DataFrame, tta: bool, sizes: Sizes) -> float:
    """How long a hand takes, from the file to the age, one after the other; the first is not counted."""
    paths = list(seen["path"][: TIMED + 1])
    if len(paths) < 2:
        return float("nan")
    reader, spent = BoneAgeReader(system.bundle, tta=tta), []
    for path in paths:
        started = time.perf_counter()
        reader.read(reader.analyse(read_radiograph(path, sex="F", native_size=sizes[path])))
        spent.append(1000 * (time.perf_counter() - started))
    return float(np.median(spent[1:]))


def _write(comparison: Comparison, folder: Path, outputs: OutputFiles) -> None:
    from boneage_roi.reports.plots import draw_comparison

    outputs.write(folder / FILES[0], frame_csv(comparison.table, "%.5g"))
    outputs.write(folder / FILES[1], markdown(comparison.table))
    outputs.write(folder / FILES[2], draw_comparison(comparison.table))


def cells(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of a comparison's table as text, for a page or a terminal."""
    headings = [
        "system",
        "hands",
        "MAE",
        "RMSE",
        "≤ 12",
        "≤ 24",
        "bias",
        "parameters",
        "MB",
        "ms a hand",
        "training",
        "from",
    ]
    rows = []
    for row in table.to_dict("records"):
        less = ""
        if not pd.isna(row.get("difference", np.nan)):
            less = f"{row['difference']:+.2f} ({row['difference_low']:+.2f} to {row['difference_high']:+.2f})"
        if "mae" not in row or pd.isna(row["mae"]):
            errors = ["-"] * 5
        else:
            errors = [
                f"{row['mae']:.2f} ({row['mae_low']:.2f} to {row['mae_high']:.2f})",
                f"{row['rmse']:.2f}",
                *(f"{100 * row[name]:.1f} %" for name in ("within_12", "within_24")),
                f"{row['bias']:+.2f}",
            ]
        hours = row["training_hours"]
        rows.append(
            [
                row["name"],
                f"{row['predicted']}/{row['hands']}",
                *errors,
                f"{row['parameters'] / 1e6:.2f} M",
                f"{row['megabytes']:.1f}",
                "-" if pd.isna(row["milliseconds"]) else f"{row['milliseconds']:.0f}",
                "-" if pd.isna(hours) else f"{hours:.2f} h",
                row["started_from"] or "-",
                less,
            ]
        )
    return [*headings, "less the first"], rows


def markdown(table: pd.DataFrame) -> str:
    """A comparison's table for a page: errors, and the bias by age band."""
    headings, rows = cells(table)
    bands = [f"bias {band}" for band in AGE_BANDS]
    biases = [
        [row["name"], *("-" if pd.isna(row.get(band, np.nan)) else f"{row[band]:+.1f}" for band in bands)]
        for row in table.to_dict("records")
    ]
    return (
        _lines(headings, rows) + "\nBias in months by age band in months:\n\n" + _lines(["system", *AGE_BANDS], biases)
    )


def _lines(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"
