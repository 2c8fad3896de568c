"""Commands that set systems and hands side by side: compare, select."""

from pathlib import Path
from typing import Annotated

import typer

from boneage_roi.cli.common import OverwriteOption, app, examples, given_path, interruptible, say
from boneage_roi.cli.options import BundleOption, LimitOption, SeedOption, TtaOption, folder_option


@app.command(
    epilog=examples(
        "compare runs/mine runs/tj-net default",
        "compare mine/bundle default --manifest manifest.csv --split test --limit 300",
    )
)
def compare(
    systems: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Folders of runs or bundles; default is the shipped bundle.", parser=given_path
        ),
    ],
    manifest: Annotated[
        Path | None,
        typer.Option(metavar="MANIFEST.csv", help="The hands; without it those of the first run.", parser=given_path),
    ] = None,
    split: Annotated[str, typer.Option(help="Only rows of this split; an empty one takes all.")] = "test",
    output: Annotated[Path, folder_option("Where to put the table, the plot and each system's report.")] = Path(
        "comparison"
    ),
    limit: LimitOption = None,
    seed: SeedOption = 0,
    tta: TtaOption = True,
    overwrite: OverwriteOption = False,
) -> None:
    """Set systems side by side on the same hands: error with interval, bias, size, time, and how they differ."""
    from boneage_roi.cli.terminal import plain_table, progress_bar, show
    from boneage_roi.reports.compare import cells
    from boneage_roi.reports.compare import compare as compared

    with interruptible("the same command goes on"), progress_bar() as progress:
        found = compared(
            systems,
            manifest,
            split=split or None,
            output=output,
            limit=limit,
            seed=seed,
            tta=tta,
            overwrite=overwrite,
            progress=progress,
        )
    headings, rows = cells(found.table)
    show(plain_table(("", *(row[0] for row in rows)), list(zip(headings[1:], *(row[1:] for row in rows), strict=True))))
    say(f"Months, with 95 % bootstrap intervals. Written to {output}")


@app.command(epilog=examples("select unlabelled/ --count 100", "select unlabelled/ --bundle runs/mine/bundle"))
def select(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Images, folders, or manifests CSV.")],
    count: Annotated[int, typer.Option(min=1, help="How many to choose.")] = 100,
    output: Annotated[
        Path, typer.Option(metavar="FILE.csv", help="Write the chosen, in order.", parser=given_path)
    ] = Path("selected.csv"),
    bundle: BundleOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Choose which images to have read next: doubtful ones, where regions disagree, unlike those chosen before."""
    from boneage_roi.cli.terminal import plain_table, progress_bar, show
    from boneage_roi.reports.select import select as selected

    with interruptible("nothing was written"), progress_bar() as progress:
        found = selected(inputs, count, bundle=bundle, output=output, overwrite=overwrite, progress=progress)
    show(plain_table(("rank", *found.chosen.columns[1:]), found.chosen.head(10).to_numpy().tolist()))
    failed = f"; {len(found.failed)} have no age" if len(found.failed) else ""
    say(f"{len(found.chosen)} of {found.images} images, in order, in {output}{failed}")
