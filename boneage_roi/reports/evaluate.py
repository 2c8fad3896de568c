"""Predict every hand of a manifest and report how far off the bone ages are."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from boneage_roi.datasets.manifest import find_table
from boneage_roi.errors import InputError
from boneage_roi.metrics import error_table
from boneage_roi.outputs.csv import csv_header, csv_text
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.outputs.records import TEXTS, result_columns, result_row
from boneage_roi.outputs.table import result_frame
from boneage_roi.pipeline.batch import predict_files
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.keys import content_mark, row_key
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.pipeline.settings import ReaderSettings
from boneage_roi.pipeline.tables import manifest_items, read_table
from boneage_roi.progress import Progress, tracked
from boneage_roi.reports.journal import Journal
from boneage_roi.reports.stages import stage_table, without_column, without_row
from boneage_roi.reports.worst import WorstPictures, worst_hands, write_worst

REPORT_FILES = ("predictions.csv", "report.csv", "stages.csv", "report.json", "worst.csv")


@dataclass(frozen=True, eq=False)
class Report:
    """An evaluation.

    Attributes:
        predictions: a row a hand in the manifest's order: ``id``, ``boneage`` (true, months), ``bundle``, ``key`` (what
            the prediction rests on, hashed), the columns of :func:`boneage_roi.outputs.records.result_columns`, and the
            fused age without each region (``without_hand`` ...).
        errors: errors by group, see :func:`boneage_roi.metrics.error_table`.
        stages: the worth of each region by developmental stage, see :func:`boneage_roi.reports.stages.stage_table`.
        worst: the hands with the largest errors, see :func:`boneage_roi.reports.worst.worst_hands`.
        bundle: name of the bundle and the start of its manifest's SHA-256.
        folder: where the files of the report are; None when none were written.
    """

    predictions: pd.DataFrame
    errors: pd.DataFrame
    stages: pd.DataFrame
    worst: pd.DataFrame
    bundle: str
    folder: Path | None = None

    @property
    def failures(self) -> pd.DataFrame:
        """The hands without a prediction."""
        return self.predictions[self.predictions["status"] != "ok"]


@dataclass(eq=False)
class _Reading:
    """What is predicted with, and what came of it."""

    reader: BoneAgeReader
    bundle: str
    regions: tuple[str, ...]
    journal: Journal
    pictures: WorstPictures
    progress: Progress | None
    rows: list[dict[str, object]] = field(default_factory=list)

    @property
    def columns(self) -> tuple[str, ...]:
        without = (without_column(region) for region in self.regions)
        return ("id", "boneage", "bundle", "key", *result_columns(self.regions), *without)


def evaluate(
    manifest: str | Path,
    bundle: Bundle | str | Path | None = None,
    *,
    split: str | None = None,
    output: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    worst: int = 20,
    tta: bool = True,
    aspect: str = "auto",
    provider: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Predict the hands of a manifest and measure the errors; writes files only when asked.

    Into ``output`` go ``predictions.csv``, ``report.csv``, ``stages.csv``, ``report.json``, plots, and the hands with
    the largest errors in ``worst.csv`` and ``worst/``. Hands that are in its ``predictions.csv`` already are not read
    again when image, sex, native size, views, bundle and package are the same, so a stopped evaluation goes on where
    it was.

    Args:
        manifest: a manifest CSV with ``boneage``, or RSNA's layout.
        bundle: a bundle or its folder; None for the shipped one.
        split: only rows with this value in the column ``split``.
        output: folder of the report; None writes nothing.
        limit: only so many hands, drawn at random.
        seed: of ``limit``: the same seed draws the same hands.
        worst: how many of the worst hands are listed and drawn; 0 for none.
        tta: test-time augmentation, see :func:`boneage_roi.pipeline.reader.load`.
        aspect: whether squashed hands are restored, see the same.
        provider: what runs the networks, see the same.
        overwrite: write over files that no evaluation made; never over inputs.
        progress: is told how many hands are done.

    Raises:
        InputError: the manifest or the bundle cannot be used, the split is not in it, a hand has no bone age, or a file
            of the report would replace another's.

    Example::

        report = evaluate("manifest.csv", split="test")
        report.errors[["group", "level", "n", "mae"]]
    """
    csv = find_table(Path(manifest))
    hands = _labelled_hands(csv, split, limit, seed)
    items = manifest_items(hands, csv.parent)
    folder = None if output is None else Path(output)
    outputs = OutputFiles("evaluate", [csv, *hands["path"]], overwrite=overwrite)
    _claim(outputs, folder)
    reader = BoneAgeReader(bundle, tta=tta, aspect=aspect, provider=provider)
    reading = _Reading(
        reader,
        str(ReaderSettings(reader.bundle, tta, aspect, reader.provider)),
        reader.regions,
        Journal(folder / "predictions.csv" if folder else None),
        WorstPictures(worst if folder else 0),
        progress,
    )
    predictions = _predict(reading, hands, items)
    report = Report(
        predictions,
        error_table(predictions),
        stage_table(predictions, reading.regions),
        worst_hands(predictions, worst, reading.regions),
        reading.bundle,
        folder,
    )
    if folder:
        _write(report, folder, outputs, reading, items, {"manifest": str(manifest), "split": split})
    return report


def _labelled_hands(csv: Path, split: str | None, limit: int | None, seed: int) -> pd.DataFrame:
    """The chosen rows of a manifest, in its order."""
    table = read_table(csv, labels=True)
    chosen = pd.Series(True, index=table.index)
    if split is not None:
        if "split" not in table:
            raise InputError(f"{csv}: no `split` column; use a manifest from `boneage-roi prepare`, or no --split")
        chosen = table["split"] == split
        if not chosen.any():
            known = ", ".join(sorted(table["split"].dropna().astype(str).unique()))
            raise InputError(f"{csv}: no hand with split {split!r}; the splits are {known}")
    hands = table[chosen]
    unlabelled = hands[hands["boneage"].isna()]
    if len(unlabelled):
        first = unlabelled["id"].iloc[0]
        raise InputError(
            f"{csv}: {len(unlabelled)} of {len(hands)} hands have no boneage (the first is {first}); "
            "give their bone age in months or take them out"
        )
    if limit and limit < len(hands):
        hands = hands.sample(n=limit, random_state=seed).sort_index()
    return hands


def _claim(outputs: OutputFiles, folder: Path | None) -> None:
    """Refuse a folder of somebody else's files before hours of work."""
    if folder is None:
        return
    from boneage_roi.reports.plots import PLOTS

    for name in (*REPORT_FILES, *PLOTS):
        outputs.claim(folder / name)


def _predict(reading: _Reading, hands: pd.DataFrame, items: Sequence[Item]) -> pd.DataFrame:
    """A prediction a hand; each new one is in the journal at once."""
    keys = [row_key(item, reading.bundle, content_mark(item.path)) for item in items]
    with reading.journal.open(reading.columns) as keep:
        todo = [place for place, key in enumerate(keys) if key not in reading.journal.known]
        outcomes = predict_files(reading.reader, [items[place] for place in todo])
        for place, outcome in zip(todo, tracked(outcomes, "reading hands", len(todo), reading.progress), strict=True):
            hand = hands.iloc[place]
            start = {"id": hand["id"], "boneage": hand["boneage"], "bundle": reading.bundle, "key": keys[place]}
            keep(start | result_row(outcome, reading.regions) | without_row(outcome, reading.reader))
            if outcome.bone_age is not None:
                reading.pictures.offer(place, outcome.bone_age.months - hand["boneage"], outcome)
    labels = zip(hands["id"], hands["boneage"], items, keys, strict=True)
    reading.rows = [
        reading.journal.known[key] | {"id": name, "boneage": age, "path": item.path} for name, age, item, key in labels
    ]
    return result_frame(reading.rows, reading.columns, ("id", "bundle", "key", *TEXTS))


def _write(
    report: Report,
    folder: Path,
    outputs: OutputFiles,
    reading: _Reading,
    items: Sequence[Item],
    about: dict[str, str | None],
) -> None:
    # Matplotlib takes a second to load, and only this needs it.
    from boneage_roi.reports.plots import draw_plots

    table = csv_header(reading.columns) + csv_text(reading.rows, reading.columns)
    outputs.write(folder / "predictions.csv", table)
    reading.journal.remove()
    outputs.write(folder / "report.csv", report.errors.to_csv(index=False))
    outputs.write(folder / "stages.csv", report.stages.to_csv(index=False))
    content = {
        "bundle": report.bundle,
        **about,
        "hands": len(report.predictions),
        "predicted": len(report.predictions) - len(report.failures),
        "failed": report.failures[["path", "message"]].to_dict("records"),
        "errors": json.loads(report.errors.to_json(orient="records")),
        "stages": json.loads(report.stages.to_json(orient="records")),
    }
    outputs.write(folder / "report.json", json.dumps(content, indent=2, allow_nan=False) + "\n")
    for name, picture in draw_plots(report.predictions):
        outputs.write(folder / name, picture)
    missing = [place for place in report.worst.index if place not in reading.pictures]
    again = predict_files(reading.reader, [items[place] for place in missing])
    drawn = tracked(again, "drawing the worst hands", len(missing), reading.progress)
    for place, outcome in zip(missing, drawn, strict=True):
        reading.pictures.draw(place, outcome)
    write_worst(report.worst, reading.pictures, folder, outputs)
