"""Commands that watch what is read: drift."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from boneage_roi.cli.common import OverwriteOption, app, examples, given_path, say, warn

MOVED = 3
"""Exit code of a comparison that found that something moved."""


@app.command(epilog=examples("drift november.csv --reference september.csv --output drift"))
def drift(
    new: Annotated[
        Path, typer.Argument(metavar="NEW.csv", help="What `predict --output` wrote of a period.", parser=given_path)
    ],
    reference: Annotated[
        Path, typer.Option(metavar="OLD.csv", help="The same of an earlier time when all was well.", parser=given_path)
    ],
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write drift.csv and drift.png.", parser=given_path)
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Tell what moved between two periods: refusals, interval widths, image measures, ages, sexes.

    Exit code 3 says that something moved, 0 that nothing did.
    """
    from boneage_roi.cli.terminal import plain_table, show
    from boneage_roi.reports.drift import drift as compare

    found = compare(new, reference, output=output, overwrite=overwrite)
    headings = ("quantity", "unit", "n", "reference", "new", "difference", "95 %", "p", "")
    show(plain_table(headings, (_cells(row) for row in found.table.to_dict("records"))))
    for note in found.notes:
        warn(f"note: {note}")
    say(found.verdict)
    if found.folder:
        say(f"drift.csv and drift.png are in {found.folder}")
    if found.moved:
        raise typer.Exit(MOVED)


def _cells(row: Mapping[Any, Any]) -> tuple[str, ...]:
    ends = "difference_low", "difference_high"
    numbers = [f"{row[name]:.3g}" for name in ("reference", "value")]
    interval = " to ".join(f"{row[name]:+.2g}" for name in ends)
    moved = "moved" if row["moved"] else ""
    size = f"{row['difference']:+.2g}"
    return (str(row["quantity"]), str(row["unit"]), str(row["n"]), *numbers, size, interval, f"{row['p']:.2g}", moved)
