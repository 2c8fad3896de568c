"""Commands that run a bundle: predict, detect, segment, evaluate, info."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boneage_roi.cli.archive import (
    AddressOption,
    EngineOption,
    PartRowsOption,
    RecursiveOption,
    ResumeOption,
    ShardOption,
    WorkersOption,
)
from boneage_roi.cli.common import (
    OverwriteOption,
    app,
    examples,
    fail,
    given_input,
    given_path,
    interruptible,
    say,
    warn,
)
from boneage_roi.errors import InputError

if TYPE_CHECKING:
    from boneage_roi.cli.sinks import Tally
    from boneage_roi.outputs.files import OutputFiles
    from boneage_roi.outputs.sink import Sink
    from boneage_roi.pipeline.batch import Outcome
    from boneage_roi.pipeline.inputs import Item
    from boneage_roi.pipeline.reader import BoneAgeReader

LONGEST_TABLE = 50
"""With --output, more rows than this are counted instead of shown."""

MOST_FAILURES = 1000
"""More failed inputs are counted instead of named."""

Inputs = Annotated[
    list[Any],
    typer.Argument(
        metavar="IMAGE|DIR|MANIFEST",
        help="Images, folders, TAR and ZIP archives, manifests (CSV, Parquet); URLs too (s3://...).",
        parser=given_input,
    ),
]
BundleOption = Annotated[
    Path | None,
    typer.Option("--bundle", metavar="DIR", help="Bundle to use instead of the shipped one.", parser=given_path),
]
SexOption = Annotated[
    str | None,
    typer.Option(metavar="M|F", help="Sex for images whose manifest gives none; goes before a DICOM file's own."),
]
AgeOption = Annotated[
    str | None, typer.Option(metavar="AGE", help="Chronological age, such as 10y4m or 124 (months); as --sex.")
]
BirthOption = Annotated[
    str | None, typer.Option(metavar="DATE", help="Birth date (2014-03-09), with the study date; instead of an age.")
]
StudyOption = Annotated[str | None, typer.Option(metavar="DATE", help="Day of the radiograph; as --sex.")]
HeightOption = Annotated[
    float | None, typer.Option(metavar="CM", help="Standing height, for the adult height; as --sex.")
]
TtaOption = Annotated[
    bool, typer.Option("--tta/--no-tta", help="Read each region in six views: a little more accurate, slower.")
]
AspectOption = Annotated[
    str,
    typer.Option(
        metavar="auto|as-is",
        help="auto restores a hand that looks squashed, unless its native size or pixel spacing is known.",
    ),
]
ProviderOption = Annotated[
    str,
    typer.Option(
        metavar="cpu|cuda|openvino|...",
        help="What runs the networks, where ONNX Runtime has it; the CPU takes its place when it does not start.",
    ),
]
LimitOption = Annotated[int | None, typer.Option(min=1, help="Only so many hands, drawn at random.")]
SeedOption = Annotated[int, typer.Option(help="Of --limit: the same seed draws the same hands.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]


def folder_option(help_text: str) -> Any:
    """An option for a folder of results."""
    return typer.Option(metavar="DIR", help=help_text, parser=given_path)


@app.command(
    epilog=examples(
        "predict examples/",
        "predict hand.png --sex F --chronological-age 10y4m --overlay overlays",
        "predict hand.dcm --json",
        "predict study/ --dicom objects --report reports --language de",
        "predict manifest.csv --output ages.csv",
        "predict archive/ --output ages.csv --workers 8 --resume",
        "predict manifest.parquet --output ages-0.parquet --shard 0/100 --resume",
    )
)
def predict(
    inputs: Inputs,
    sex: SexOption = None,
    chronological_age: AgeOption = None,
    birth_date: BirthOption = None,
    study_date: StudyOption = None,
    height_cm: HeightOption = None,
    bundle: BundleOption = None,
    as_json: JsonOption = False,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write every outcome, in order, as .csv, .json, .jsonl or .parquet; FILE.partial until complete.",
            parser=given_path,
        ),
    ] = None,
    overlay: Annotated[Path | None, folder_option("Draw hand, regions and age of each.")] = None,
    dicom: Annotated[
        Path | None, folder_option("Write a DICOM structured report and a Secondary Capture of each DICOM file.")
    ] = None,
    report: Annotated[Path | None, folder_option("Write a report of each, HTML and PDF.")] = None,
    language: Annotated[str, typer.Option(metavar="en|de|zh|ko|es", help="Language of reports.")] = "en",
    with_identity: Annotated[
        bool, typer.Option("--with-identity", help="Show name, identifier and birth date in reports.")
    ] = False,
    occlusion: Annotated[
        bool, typer.Option("--occlusion", help="Add an occlusion map to reports: some seconds a hand.")
    ] = False,
    fhir: Annotated[Path | None, folder_option("Write a FHIR R4 Observation and DiagnosticReport of each.")] = None,
    tta: TtaOption = True,
    aspect: AspectOption = "auto",
    provider: ProviderOption = "cpu",
    workers: WorkersOption = None,
    recursive: RecursiveOption = False,
    resume: ResumeOption = False,
    shard: ShardOption = None,
    part_rows: PartRowsOption = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Read the bone age: with an interval, and region by region.

    The sex comes from a manifest's `sex` column, from --sex or from the DICOM file; where it is unknown,
    both are read. With a chronological age, from the same places, the bone age is put in relation to it.
    An image that is no child's hand, or shows too little of it, is rejected and gets no age.
    A folder's `manifest.csv` is used for its images.
    """
    from boneage_roi import __version__
    from boneage_roi.cli.sinks import Tally, ages_json, ages_table, children_lines
    from boneage_roi.outputs.dicom import DicomSink
    from boneage_roi.outputs.fhir import FhirSink
    from boneage_roi.outputs.pictures import PictureSink, bone_age_overlay
    from boneage_roi.outputs.report import ReportSink
    from boneage_roi.outputs.resuming import ResumingSink
    from boneage_roi.pipeline.bundle import Bundle
    from boneage_roi.pipeline.engines import Work, find_engine
    from boneage_roi.pipeline.inputs import filler
    from boneage_roi.pipeline.settings import ReaderSettings
    from boneage_roi.pipeline.shards import parse_shard, take_share

    fill = filler(
        sex=sex,
        chronological_age=chronological_age,
        birth_date=birth_date,
        study_date=study_date,
        height_cm=height_cm,
    )
    listed = fill(_items(inputs, recursive))
    share = take_share(listed, *parse_shard(shard))
    outputs = _outputs("predict", inputs, listed, overwrite)
    settings = ReaderSettings(Bundle.load(bundle), tta, aspect, provider)
    regions = settings.bundle.manifest.regions
    folders = [folder for folder in (overlay, dicom, report, fhir) if folder]
    if (resume or shard or part_rows) and not output:
        raise InputError("--resume, --shard and --part-rows need --output")
    if part_rows and folders:
        raise InputError("--part-rows goes with --output alone; draw and report in a run of its own")
    results = None
    if output:
        made_by = f"{settings}, boneage-roi {__version__}{''.join(f', {folder}' for folder in folders)}"
        results = ResumingSink(output, regions, outputs, share, made_by, resume=resume, part_rows=part_rows)
    items = results.missing() if results else share.items
    if results and not items and share.items:
        say(f"{output} is complete; nothing is left to read")
        return
    work = Work(settings, workers, pixels=bool(folders), count=len(items), address=address)
    read = find_engine(engine)(work)
    outcomes = results.read(items, read) if results else read(items)
    tally = Tally()
    shown = ages_json(regions) if as_json else ages_table(regions, LONGEST_TABLE if output else None)
    sinks: list[Sink] = [tally, shown]
    if not as_json:
        sinks.append(children_lines())
    if overlay:  # first: it only refuses, while a file of results begins when it is opened
        sinks.append(PictureSink(overlay, items, outputs, bone_age_overlay))
    reports = DicomSink(dicom, items, outputs, settings.bundle) if dicom else None
    if reports:
        sinks.append(reports)
    if report:
        sinks.append(
            ReportSink(
                report,
                items,
                outputs,
                settings.bundle,
                language=language,
                with_identity=with_identity,
                occlusion=settings.open() if occlusion else None,
            )
        )
    if fhir:
        sinks.append(FhirSink(fhir, items, outputs, settings.bundle))
    if results:
        sinks.append(results)
    kept = f"the rows so far are in {results.growing}; the same command with --resume goes on" if results else ""
    _run(outcomes, "predicting", len(items), sinks, kept, tally)
    if output and not as_json:
        say(f"{tally.total - len(tally.failures)} of {tally.total} read; results in {output}")
    for path in reports.skipped if reports else ():
        warn(f"{path}: no DICOM report, because it is no DICOM file with a study")
    _report_failures(tally.failures, tally.total)


@app.command(epilog=examples("detect hand.png", "detect examples/ --output regions", "detect hand.png --json"))
def detect(
    inputs: Inputs,
    output: Annotated[Path, folder_option("Where to put overlays and boxes.csv.")] = Path("regions"),
    bundle: BundleOption = None,
    as_json: JsonOption = False,
    aspect: AspectOption = "auto",
    overwrite: OverwriteOption = False,
) -> None:
    """Find the regions of hands: an overlay PNG of each, and the boxes' corners (radiograph pixels) as CSV and JSON."""
    from boneage_roi.cli.sinks import Tally, boxes_json, regions_table
    from boneage_roi.outputs.boxes import BoxesSink
    from boneage_roi.outputs.pictures import PictureSink, region_overlay
    from boneage_roi.pipeline.batch import analyse_files

    items = _items(inputs)
    outputs = _outputs("detect", inputs, items, overwrite)
    reader = _reader(bundle, aspect=aspect)
    tally, shown = Tally(), boxes_json() if as_json else regions_table(reader)
    pictures = PictureSink(output, items, outputs, region_overlay)
    sinks: list[Sink] = [tally, shown, pictures, BoxesSink(output / "boxes.csv", outputs)]
    _run(analyse_files(reader, items), "detecting", len(items), sinks, f"overlays so far are in {output}", tally)
    if tally.total > len(tally.failures) and not as_json:
        say(f"overlays and boxes.csv are in {output}")
    _report_failures(tally.failures, tally.total)


@app.command(epilog=examples("segment hand.png", "segment examples/ --output masks"))
def segment(
    inputs: Inputs,
    output: Annotated[Path, folder_option("Where to put the masks.")] = Path("masks"),
    bundle: BundleOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Find hands: a mask PNG of each, white on hand and forearm."""
    from boneage_roi.cli.sinks import Tally, masks_table
    from boneage_roi.outputs.pictures import PictureSink, hand_mask
    from boneage_roi.pipeline.batch import analyse_files

    items = _items(inputs)
    outputs = _outputs("segment", inputs, items, overwrite)
    tally = Tally()
    sinks: list[Sink] = [tally, masks_table(), PictureSink(output, items, outputs, hand_mask)]
    outcomes = analyse_files(_reader(bundle), items)
    _run(outcomes, "segmenting", len(items), sinks, f"masks so far are in {output}", tally)
    if tally.total > len(tally.failures):
        say(f"masks are in {output}")
    _report_failures(tally.failures, tally.total)


@app.command(
    epilog=examples(
        "evaluate manifest.csv --split test", "evaluate runs/default/manifest.csv --bundle runs/default/bundle"
    )
)
def evaluate(
    manifest: Annotated[
        Path,
        typer.Argument(metavar="MANIFEST.csv", help="Images with sex and boneage (months).", parser=given_path),
    ],
    bundle: BundleOption = None,
    split: Annotated[str | None, typer.Option(help="Only rows of this split, such as test.")] = None,
    output: Annotated[Path, folder_option("Where to put tables and plots.")] = Path("report"),
    limit: LimitOption = None,
    seed: SeedOption = 0,
    worst: Annotated[int, typer.Option(min=0, help="List and draw so many of the worst hands.")] = 20,
    tta: TtaOption = True,
    aspect: AspectOption = "auto",
    provider: ProviderOption = "cpu",
    overwrite: OverwriteOption = False,
) -> None:
    """Measure the error: overall, by region, sex and age band, with bootstrap intervals and plots."""
    from boneage_roi.cli.terminal import progress_bar, report_lines, show
    from boneage_roi.reports.evaluate import evaluate as run_evaluation

    with interruptible("the same command goes on"), progress_bar() as progress:
        report = run_evaluation(
            manifest,
            bundle,
            split=split,
            output=output,
            limit=limit,
            seed=seed,
            worst=worst,
            tta=tta,
            aspect=aspect,
            provider=provider,
            overwrite=overwrite,
            progress=progress,
        )
    for line in report_lines(report):
        show(line)
    if len(report.failures):
        raise typer.Exit(1)


@app.command(epilog=examples("info", "info runs/default/bundle"))
def info(
    bundle: Annotated[
        Path | None, typer.Argument(metavar="[BUNDLE]", help="Default: the shipped one.", parser=given_path)
    ] = None,
) -> None:
    """What a bundle is, was trained on, reaches and weighs; checks its files. Of a run: the sizes of its stages."""
    from boneage_roi.cli.terminal import bundle_tables, run_table, show
    from boneage_roi.pipeline.bundle import Bundle

    if bundle is not None and (bundle / "config.yaml").is_file():
        show(run_table(bundle))
        return

    for table in bundle_tables(Bundle.load(bundle)):
        show(table)


def _items(inputs: "Sequence[str | Path]", recursive: bool = False) -> "list[Item]":
    """Inputs spread out; one that is alone and cannot be used is the user's mistake at once."""
    from boneage_roi.pipeline.inputs import list_inputs

    items = list_inputs(inputs, recursive=recursive)
    if len(items) == 1 and items[0].error:
        raise InputError(items[0].error)
    return items


def _outputs(command: str, inputs: "Sequence[str | Path]", items: "Sequence[Item]", overwrite: bool) -> "OutputFiles":
    """What the command may write: neither its images nor the tables that list them."""
    from boneage_roi.outputs.files import OutputFiles
    from boneage_roi.pipeline.inputs import input_files

    return OutputFiles(command, input_files(inputs, items), overwrite=overwrite)


def _reader(bundle: Path | None, *, tta: bool = True, aspect: str = "auto", provider: str = "cpu") -> "BoneAgeReader":
    from boneage_roi.pipeline.bundle import Bundle
    from boneage_roi.pipeline.settings import ReaderSettings

    return ReaderSettings(Bundle.load(bundle), tta, aspect, provider).open()


def _run(
    outcomes: "Iterable[Outcome]", label: str, total: int, sinks: "Iterable[Sink]", kept: str, tally: "Tally"
) -> None:
    """Pass outcomes to the sinks while a bar tells how far it is; ``kept`` says what Ctrl-C leaves."""
    from boneage_roi.cli.progress import reading_progress
    from boneage_roi.outputs.sink import opened
    from boneage_roi.progress import tracked

    with interruptible(kept), opened(sinks) as write, reading_progress(lambda: len(tally.failures)) as progress:
        for outcome in tracked(outcomes, label, total, progress):
            write(outcome)


def _report_failures(failures: Sequence[tuple[str, str]], total: int) -> None:
    """One line a failed input; exit 2 when it was the only one, else 1."""
    for path, message in failures[:MOST_FAILURES]:
        fail(message if path in message else f"{path}: {message}")
    if failures:
        if len(failures) > MOST_FAILURES:
            warn(f"and {len(failures) - MOST_FAILURES} more")
        if total > 1:
            warn(f"{len(failures)} of {total} inputs failed")
        raise typer.Exit(1 if total > 1 else 2)
