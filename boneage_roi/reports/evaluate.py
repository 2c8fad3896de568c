"""Predict every hand of a manifest and report how far off the bone ages are."""

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from boneage_roi.datasets.manifest import find_table
from boneage_roi.errors import InputError
from boneage_roi.files import write_atomically
from boneage_roi.metrics import error_table
from boneage_roi.pipeline.batch import RESULT_COLUMNS, predict_files, result_row
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.inputs import Item, list_inputs, read_table
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.reports.worst import save_worst

COLUMNS = ("id", "boneage", "bundle", *RESULT_COLUMNS)
"""Columns of ``predictions.csv``: a row a hand."""


@dataclass(frozen=True, eq=False)
class Report:
    """An evaluation.

    Attributes:
        predictions: a row a hand in the manifest's order, with ``COLUMNS``.
        table: errors by group, see :func:`boneage_roi.metrics.error_table`.
        bundle: name of the bundle and the start of its manifest's SHA-256.
        folder: where the files of the report are.
        worst: how many hands are in its ``worst.csv``.
    """

    predictions: pd.DataFrame
    table: pd.DataFrame
    bundle: str
    folder: Path
    worst: int = 0

    @property
    def failures(self) -> pd.DataFrame:
        """The hands without a prediction."""
        return self.predictions[self.predictions["status"] != "ok"]

    def print(self, console: Console | None = None) -> None:
        """Show the errors, and every hand that could not be read."""
        console = console or Console()
        hands, failed = len(self.predictions), len(self.failures)
        console.print(f"[bold]{self.bundle}[/bold]: {hands:,} hands, {hands - failed:,} predicted, {failed:,} failed")
        for group, rows in self.table.groupby("group", sort=False):
            console.print(_screen_table(str(group), rows))
        for row in self.failures.itertuples():
            console.print(f"failed: {row.message}", style="red", markup=False, soft_wrap=True)
        if self.worst:
            line = f"Worst hands ({self.worst:,}): {self.folder / 'worst.csv'}, drawn in worst/ beside it"
            console.print(line, style="dim", markup=False, soft_wrap=True)
        console.print(f"[dim]Errors in months, with 95 % bootstrap intervals. Written to {self.folder}[/dim]")


def evaluate(
    manifest: Path,
    bundle: Path | None,
    *,
    split: str | None = None,
    output: Path,
    limit: int | None = None,
    worst: int = 20,
    tta: bool = True,
) -> Report:
    """Predict the hands of a manifest and write ``predictions.csv``, ``report.csv``, ``report.json`` and plots.

    The hands with the largest errors are listed in ``worst.csv`` and drawn in ``worst/``.

    Hands that the same bundle has already read into ``output/predictions.csv`` are not read again, so a stopped
    evaluation goes on where it was.

    Args:
        manifest: a manifest CSV with ``boneage``, or RSNA's layout.
        bundle: folder of the bundle; None for the one that comes with the package.
        split: only rows with this value in the column ``split``.
        output: folder of the report.
        limit: only the first so many rows.
        worst: how many hands are listed and drawn; 0 for none.
        tta: test-time augmentation, see :class:`boneage_roi.pipeline.reader.BoneAgeReader`.

    Raises:
        InputError: the manifest or the bundle cannot be used, the split is not in it, or a hand has no bone age.
    """
    hands, items = _labelled_hands(manifest, split, limit)
    loaded = Bundle.load(bundle)
    name = f"{loaded.manifest.name} {hashlib.sha256((loaded.path / 'manifest.json').read_bytes()).hexdigest()[:12]}"
    name = name if tta else f"{name} without TTA"
    predictor = BoneAgeReader(loaded, tta=tta)
    predictions = _predict(predictor, name, hands, items, output / "predictions.csv")
    drawn = save_worst(predictions, items, predictor, output, worst)
    report = Report(predictions, error_table(predictions), name, output, drawn)
    _write(report, manifest, split)
    return report


def _labelled_hands(manifest: Path, split: str | None, limit: int | None) -> tuple[pd.DataFrame, list[Item]]:
    """The chosen rows of a manifest and their images, in order."""
    csv_path = find_table(manifest)
    items = list_inputs([csv_path])
    if items[0].error:
        raise InputError(items[0].error)
    table = read_table(csv_path)
    chosen = pd.Series(True, index=table.index)
    if split is not None:
        if "split" not in table:
            raise InputError(f"{csv_path}: no `split` column; use a manifest from `boneage-roi prepare`, or no --split")
        chosen = table["split"] == split
        if not chosen.any():
            known = ", ".join(sorted(table["split"].dropna().astype(str).unique()))
            raise InputError(f"{csv_path}: no hand with split {split!r}; the splits are {known}")
    hands = table[chosen].head(limit) if limit else table[chosen]
    unlabelled = hands[hands["boneage"].isna()]
    if len(unlabelled):
        first = unlabelled["id"].iloc[0]
        raise InputError(
            f"{csv_path}: {len(unlabelled)} of {len(hands)} hands have no boneage (the first is {first}); "
            "give their bone age in months or take them out"
        )
    return hands, [items[position] for position in hands.index]


def _predict(
    predictor: BoneAgeReader, name: str, hands: pd.DataFrame, items: Sequence[Item], path: Path
) -> pd.DataFrame:
    """A prediction a hand, from ``path`` when the same bundle made it; each new one is in the file at once."""
    known = _known_rows(path, name)
    write_atomically(path, _csv_text([dict(zip(COLUMNS, COLUMNS, strict=True)), *known.values()]))
    todo = [
        (hand, item)
        for hand, item in zip(hands.itertuples(), items, strict=True)
        if (item.path, item.sex or "") not in known
    ]
    if todo:
        outcomes = predict_files(predictor, [item for _, item in todo])
        progress = track(outcomes, "reading hands", total=len(todo), console=Console(stderr=True))
        with path.open("a", newline="", encoding="utf-8") as file:
            for (hand, item), outcome in zip(todo, progress, strict=True):
                row = {"id": hand.id, "boneage": hand.boneage, "bundle": name} | result_row(outcome)
                known[item.path, item.sex or ""] = {column: str(row[column]) for column in COLUMNS}
                file.write(_csv_text([row]))
                file.flush()
    labels = zip(hands["id"], hands["boneage"], items, strict=True)
    rows = [known[item.path, item.sex or ""] | {"id": label, "boneage": age} for label, age, item in labels]
    write_atomically(path, _csv_text([dict(zip(COLUMNS, COLUMNS, strict=True)), *rows]))
    return _read_predictions(path)


def _known_rows(path: Path, bundle: str) -> dict[tuple[str, str], dict[str, object]]:
    """Good rows of an earlier evaluation with the same bundle, by image and sex; failed hands get another try."""
    if not path.is_file():
        return {}
    complete = path.read_text(encoding="utf-8").rpartition("\n")[0]  # a kill may have left half a line
    rows = [row for row in csv.DictReader(io.StringIO(complete)) if set(row) == set(COLUMNS)]
    kept = [row for row in rows if row["bundle"] == bundle and row["status"] == "ok"]
    return {(row["path"], row["sex"]): dict(row) for row in kept}


def _csv_text(rows: Sequence[dict[str, object]]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, COLUMNS, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _read_predictions(path: Path) -> pd.DataFrame:
    words = ("id", "bundle", "path", "status", "sex", "quality", "flags", "message")
    frame = pd.read_csv(path, dtype=dict.fromkeys(words, str))
    frame[list(words)] = frame[list(words)].fillna("")
    return frame.astype({column: float for column in COLUMNS if column not in words})


def _write(report: Report, manifest: Path, split: str | None) -> None:
    # Matplotlib takes a second to load, and only this needs it.
    from boneage_roi.reports.plots import save_plots

    write_atomically(report.folder / "report.csv", report.table.to_csv(index=False))
    content = {
        "bundle": report.bundle,
        "manifest": str(manifest),
        "split": split,
        "hands": len(report.predictions),
        "predicted": len(report.predictions) - len(report.failures),
        "failed": report.failures[["path", "message"]].to_dict("records"),
        "errors": json.loads(report.table.to_json(orient="records")),
    }
    write_atomically(report.folder / "report.json", json.dumps(content, indent=2) + "\n")
    save_plots(report.predictions, report.folder)


def _screen_table(group: str, rows: pd.DataFrame) -> Table:
    """One group's errors, narrow enough for 80 columns; ``report.csv`` has the rest."""
    table = Table(title=group, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.show_edge = False
    table.add_column("", no_wrap=True)
    for heading in ("n", "found", "MAE", "95 %", "RMSE", "bias", "<=12", "<=24", "in 90 %", "width"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows.to_dict("records"):
        cells = [
            f"{row['mae']:.2f}",
            f"{row['mae_low']:.1f}-{row['mae_high']:.1f}",
            f"{row['rmse']:.1f}",
            f"{row['bias']:+.1f}",
            *(f"{row[name]:.0%}" for name in ("within_12", "within_24")),
            f"{row['coverage']:.1%}",
            f"{row['width']:.0f}",
        ]
        shown = ("-" if "nan" in cell else cell for cell in cells)
        table.add_row(str(row["level"]), f"{row['n']:,}", f"{row['found']:.0%}", *shown)
    return table
