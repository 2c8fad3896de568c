"""Commands that read images: predict, detect, segment."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boneage_roi.cli.batches import items_of, open_reader, outputs_of, pass_on, report_failures
from boneage_roi.cli.common import OverwriteOption, app, examples, given_path, say, warn
from boneage_roi.cli.options import (
    AddressOption,
    AgeOption,
    AspectOption,
    BirthOption,
    BundleOption,
    EngineOption,
    HeightOption,
    Inputs,
    JsonOption,
    PartRowsOption,
    ProviderOption,
    RecursiveOption,
    ResumeOption,
    SexOption,
    ShardOption,
    StudyOption,
    TtaOption,
    WorkersOption,
    folder_option,
)
from boneage_roi.errors import InputError

if TYPE_CHECKING:
    from boneage_roi.outputs.sink import Sink

LONGEST_TABLE = 50
"""With --output, more rows than this are counted instead of shown."""


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
    from boneage_roi.pipeline.item import filler
    from boneage_roi.pipeline.settings import ReaderSettings
    from boneage_roi.pipeline.shards import parse_shard, take_share

    fill = filler(
        sex=sex,
        chronological_age=chronological_age,
        birth_date=birth_date,
        study_date=study_date,
        height_cm=height_cm,
    )
    listed = fill(items_of(inputs, recursive))
    share = take_share(listed, *parse_shard(shard))
    outputs = outputs_of("predict", inputs, listed, overwrite)
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
    pass_on(outcomes, "predicting", len(items), sinks, kept, tally)
    if output and not as_json:
        say(f"{tally.total - tally.failed} of {tally.total} read; results in {output}")
    for path in reports.skipped if reports else ():
        warn(f"{path}: no DICOM report, because it is no DICOM file with a study")
    report_failures(tally)


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

    items = items_of(inputs)
    outputs = outputs_of("detect", inputs, items, overwrite)
    reader = open_reader(bundle, aspect)
    tally, shown = Tally(), boxes_json() if as_json else regions_table(reader)
    pictures = PictureSink(output, items, outputs, region_overlay)
    sinks: list[Sink] = [tally, shown, pictures, BoxesSink(output / "boxes.csv", outputs)]
    pass_on(analyse_files(reader, items), "detecting", len(items), sinks, f"overlays so far are in {output}", tally)
    if tally.total > tally.failed and not as_json:
        say(f"overlays and boxes.csv are in {output}")
    report_failures(tally)


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

    items = items_of(inputs)
    outputs = outputs_of("segment", inputs, items, overwrite)
    tally = Tally()
    sinks: list[Sink] = [tally, masks_table(), PictureSink(output, items, outputs, hand_mask)]
    outcomes = analyse_files(open_reader(bundle), items)
    pass_on(outcomes, "segmenting", len(items), sinks, f"masks so far are in {output}", tally)
    if tally.total > tally.failed:
        say(f"masks are in {output}")
    report_failures(tally)
