"""Commands that say what a bundle is worth: evaluate, info."""

from pathlib import Path
from typing import Annotated

import typer

from boneage_roi.cli.common import OverwriteOption, app, examples, given_path, interruptible
from boneage_roi.cli.options import (
    AspectOption,
    BundleOption,
    LimitOption,
    ProviderOption,
    SeedOption,
    TtaOption,
    folder_option,
)


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
