"""Commands that run a bundle: predict, detect, segment, evaluate, info."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boneage_roi.cli.common import app, examples, fail, interruptible
from boneage_roi.errors import InputError

if TYPE_CHECKING:
    from boneage_roi.pipeline.inputs import Item
    from boneage_roi.pipeline.reader import BoneAgeReader

LONGEST_TABLE = 50
"""With --output, more rows than this are counted instead of shown."""

Inputs = Annotated[
    list[Path], typer.Argument(metavar="IMAGE|DIR|MANIFEST.csv", help="Images, folders of images, manifest CSVs.")
]
BundleOption = Annotated[
    Path | None, typer.Option("--bundle", metavar="DIR", help="Bundle to use instead of the one that comes along.")
]
SexOption = Annotated[
    str | None,
    typer.Option(metavar="M|F", help="Sex for images whose manifest gives none; goes before a DICOM file's own."),
]
TtaOption = Annotated[
    bool, typer.Option("--tta/--no-tta", help="Read each region in six views: a little more accurate, slower.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]


@app.command(
    epilog=examples(
        "predict examples/",
        "predict hand.png --sex F --overlay overlays",
        "predict hand.dcm --json",
        "predict manifest.csv --output ages.csv",
    )
)
def predict(
    inputs: Inputs,
    sex: SexOption = None,
    bundle: BundleOption = None,
    as_json: JsonOption = False,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Write one row an input, in order; FILE.csv.partial until complete."),
    ] = None,
    overlay: Annotated[Path | None, typer.Option(metavar="DIR", help="Draw hand, regions and age of each.")] = None,
    tta: TtaOption = True,
) -> None:
    """Read the bone age: with an interval, and region by region.

    The sex comes from a manifest's `sex` column, from --sex or from the DICOM file; where it is unknown,
    both are read. An image that is no child's hand, or shows too little of it, is rejected and gets no age.
    A folder's `manifest.csv` is used for its images.
    """
    from boneage_roi.cli.terminal import predictions_table, show, with_progress
    from boneage_roi.pipeline.batch import RESULT_COLUMNS, CsvWriter, predict_files, result_json, result_row
    from boneage_roi.values import parse_sex

    known_sex = parse_sex(sex)
    items = _items(inputs)
    if output in inputs:
        raise InputError(f"{output}: is an input; write the results to another file")
    predictor = _predictor(bundle, tta=tta)
    rows: list[dict[str, Any]] = []
    records: list[dict[str, Any]] = []
    writer = CsvWriter(output, RESULT_COLUMNS) if output else None
    with interruptible(f"the rows so far are in {output}.partial" if output else ""), writer or nullcontext():
        outcomes = predict_files(predictor, items, sex=known_sex, overlays=overlay)
        for outcome in with_progress(outcomes, len(items), "predicting"):
            rows.append(result_row(outcome))
            if writer:
                writer.write(rows[-1:])
            if as_json:
                records.append(result_json(outcome))
    read = [row for row in rows if row["status"] == "ok"]
    if as_json:
        _print_json(records)
    elif read and not (output and len(rows) > LONGEST_TABLE):
        show(predictions_table(read))
    if output and not as_json:
        print(f"{len(read)} of {len(rows)} read; results in {output}")
    _report_failures([(row["path"], row["message"]) for row in rows if row["status"] != "ok"], len(rows))


@app.command(epilog=examples("detect hand.png", "detect examples/ --output regions", "detect hand.png --json"))
def detect(
    inputs: Inputs,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where to put overlays and boxes.csv.")] = Path("regions"),
    bundle: BundleOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the regions of hands: an overlay PNG of each, and the boxes' corners (radiograph pixels) as CSV and JSON."""
    from boneage_roi.cli.terminal import plain_table, show, with_progress
    from boneage_roi.pipeline.batch import CORNER_COLUMNS, CsvWriter, box_rows, detect_files

    items = _items(inputs)
    predictor = _predictor(bundle)
    boxes: list[dict[str, Any]] = []
    found: list[tuple[object, ...]] = []
    failures: list[tuple[str, str]] = []
    with interruptible(f"overlays so far are in {output}"), CsvWriter(output / "boxes.csv", CORNER_COLUMNS) as writer:
        for outcome in with_progress(detect_files(predictor, items, output), len(items), "detecting"):
            rows = box_rows(outcome)
            writer.write(rows)
            boxes += rows
            if outcome.value is None:
                failures.append((outcome.item.path, outcome.message))
                continue
            counts = [
                sum(row["region"] == region for row in rows) for region in predictor.bundle.manifest.finder.regions
            ]
            verdict = predictor.assess(outcome.value)
            found.append((outcome.item.path, *counts, "; ".join(verdict.rejections + verdict.warnings)))
    if as_json:
        _print_json(boxes)
    elif found:
        show(plain_table(("image", *predictor.bundle.manifest.finder.regions, "flags"), found))
        print(f"overlays and boxes.csv are in {output}")
    _report_failures(failures, len(items))


@app.command(epilog=examples("segment hand.png", "segment examples/ --output masks"))
def segment(
    inputs: Inputs,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where to put the masks.")] = Path("masks"),
    bundle: BundleOption = None,
) -> None:
    """Find hands: a mask PNG of each, white on hand and forearm."""
    from boneage_roi.cli.terminal import plain_table, show, with_progress
    from boneage_roi.pipeline.batch import segment_files

    items = _items(inputs)
    predictor = _predictor(bundle)
    found: list[tuple[object, ...]] = []
    failures: list[tuple[str, str]] = []
    with interruptible(f"masks so far are in {output}"):
        for outcome in with_progress(segment_files(predictor, items, output), len(items), "segmenting"):
            if outcome.value is None:
                failures.append((outcome.item.path, outcome.message))
            else:
                mask = outcome.value
                found.append((outcome.item.path, f"{mask.pixels.mean():.0%}", f"{mask.confidence:.2f}"))
    if found:
        show(plain_table(("image", "hand's share of the image", "landmark confidence"), found))
        print(f"masks are in {output}")
    _report_failures(failures, len(items))


@app.command(
    epilog=examples(
        "evaluate manifest.csv --split test", "evaluate runs/default/manifest.csv --bundle runs/default/bundle"
    )
)
def evaluate(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST.csv", help="Images with sex and boneage (months).")],
    bundle: BundleOption = None,
    split: Annotated[str | None, typer.Option(help="Only rows of this split, such as test.")] = None,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where to put tables and plots.")] = Path("report"),
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many images.")] = None,
    worst: Annotated[int, typer.Option(min=0, help="List and draw so many of the worst hands.")] = 20,
    tta: TtaOption = True,
) -> None:
    """Measure the error: overall, by region, sex and age band, with bootstrap intervals and plots."""
    from boneage_roi.reports.evaluate import evaluate as run_evaluation

    with interruptible("the same command goes on"):
        report = run_evaluation(manifest, bundle, split=split, output=output, limit=limit, worst=worst, tta=tta)
    report.print()
    if len(report.failures):
        raise typer.Exit(1)


@app.command(epilog=examples("info", "info runs/default/bundle"))
def info(
    bundle: Annotated[
        Path | None, typer.Argument(metavar="[BUNDLE]", help="Default: the one that comes along.")
    ] = None,
) -> None:
    """What a bundle is, was trained on, reaches and weighs; checks its files."""
    from boneage_roi.cli.terminal import bundle_tables, show
    from boneage_roi.pipeline.bundle import Bundle

    for table in bundle_tables(Bundle.load(bundle)):
        show(table)


def _items(inputs: Sequence[Path]) -> "list[Item]":
    """Inputs spread out; one that is alone and cannot be used is the user's mistake at once."""
    from boneage_roi.pipeline.inputs import list_inputs

    items = list_inputs(inputs)
    if len(items) == 1 and items[0].error:
        raise InputError(items[0].error)
    return items


def _predictor(bundle: Path | None, *, tta: bool = True) -> "BoneAgeReader":
    from boneage_roi.pipeline.reader import BoneAgeReader

    return BoneAgeReader(bundle, tta=tta)


def _report_failures(failures: Sequence[tuple[str, str]], total: int) -> None:
    """One line a failed input; exit 2 when it was the only one, else 1."""
    for path, message in failures:
        fail(message if path in message else f"{path}: {message}")
    if failures:
        if total > 1:
            print(f"{len(failures)} of {total} inputs failed", file=sys.stderr)
        raise typer.Exit(1 if total > 1 else 2)


def _print_json(value: object) -> None:
    import json

    print(json.dumps(value, indent=2))
