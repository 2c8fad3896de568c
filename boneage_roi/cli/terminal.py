"""What the commands show on a terminal: tables on stdout, progress on stderr."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, Group
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Column, Table
from rich.text import Text

from boneage_roi.cli.common import printable
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.progress import Progress
from boneage_roi.regions import age_column

if TYPE_CHECKING:
    import pandas as pd

    from boneage_roi.reports.evaluate import Report

PIPED_WIDTH = 200
"""Columns of a table that goes to a file or another program, which has no width of its own."""


def show(content: object) -> None:
    """Print to stdout."""
    console = Console(highlight=False)
    # Narrower than 80 columns a table would lose digits; a terminal wraps its lines instead.
    console.width = max(console.width, 80) if console.is_terminal else PIPED_WIDTH
    console.print(content, crop=False)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on stderr for each thing that is being done, with the time left; nothing where stderr is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total, visible=total > 1)
            bars.update(tasks[label], completed=done)

        yield progress


def years_and_months(months: float) -> str:
    """124.3 as ``10 y 4 m``."""
    whole = round(months)
    return f"{whole // 12} y {whole % 12} m"


HEADINGS: dict[str, str] = {
    "radius-ulna": "radius-\nulna",
    "metacarpal": "meta-\ncarpal",
    "phalanx": "pha-\nlanx",
    "epiphysis": "epi-\nphysis",
}
"""Region names broken so that six columns fit."""


def predictions_table(rows: Iterable[Mapping[str, Any]], regions: Sequence[str]) -> Group:
    """Rows of ``result_columns(regions)`` that hold a bone age; six regions fit into 80 columns, flags stand below."""
    table = Table(title="Bone age, and what each region says in months", title_justify="left", box=box.SIMPLE_HEAD)
    table.show_edge = False
    table.padding = 0  # the box leaves a space between columns
    table.add_column("image", overflow="fold", min_width=9)
    table.add_column("bone age", justify="right", no_wrap=True)
    table.add_column("90 %", justify="right", no_wrap=True)
    table.add_column("sex", no_wrap=True)
    for region in regions:
        table.add_column(HEADINGS.get(region, region), justify="right", no_wrap=True)
    relations: list[str] = []
    flags: list[str] = []
    for row in rows:
        months = row["bone_age_months"]
        age = f"{years_and_months(months)}\n{months:.1f} m"
        ages = (_one_decimal(row[age_column(region)]) for region in regions)
        interval = f"{row['lower']:.0f}-{row['upper']:.0f}"
        table.add_row(_cell(Path(row["path"]).name), age, interval, row["sex"] or "?", *ages)
        if row["flags"]:
            flags.append(f"{row['path']}: {row['flags']}")
        relations += _relation_lines(row)
    return Group(table, *(Text(printable(line)) for line in (*relations, *flags)))


def _relation_lines(row: Mapping[str, Any]) -> Iterator[str]:
    """How a bone age stands to the chronological age, and the adult height; nothing where neither is asked for."""
    if row.get("chronological_age_months", "") != "":
        age = years_and_months(row["chronological_age_months"])
        difference = f"{row['difference_months']:+.1f} months"
        if row["sds"] == "":
            yield f"{row['path']}: {difference} at {age}; {row['growth_note']}"
        else:
            also = row["also_possible"].replace("; ", " and ")
            reach = f", but the 90 % interval includes {also}" if also else ""
            scored = f"{difference}, SDS {row['sds']:+.2f}, table {row['growth_table']}"
            yield f"{row['path']}: {row['determination']} for {age} ({scored}){reach}"
    if row.get("adult_height_cm", "") != "":
        reach = ""
        if row["adult_height_lower"] != "":
            reach = f" ({row['adult_height_lower']:.1f} to {row['adult_height_upper']:.1f})"
        yield f"{row['path']}: adult height {row['adult_height_cm']:.1f} cm{reach}, table {row['height_table']}"
    elif row.get("height_cm", "") != "":
        yield f"{row['path']}: no adult height: {row['height_note']}"


def plain_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table of anything, the first column to the left and the others to the right."""
    table = Table(Column(headings[0], overflow="fold"), box=box.SIMPLE_HEAD)
    for heading in headings[1:]:
        table.add_column(heading, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(cell) for cell in row))
    return table


def metrics_table(metrics: dict[str, Any]) -> Table:
    """Nested numbers, a line each."""
    return plain_table(("metric", "value"), _flatten(metrics))


def bundle_tables(bundle: Bundle) -> Iterator[object]:
    """What a bundle is, what it was trained on, what it reached and what it weighs."""
    manifest = bundle.manifest
    sizes = {name: bundle.bytes(name) for name in manifest.files}
    facts = Table(show_header=False, box=box.SIMPLE, title=f"Bundle {_cell(manifest.name)}", title_justify="left")
    for name, value in (
        ("folder", bundle.path),
        ("made", f"{manifest.created:%Y-%m-%d} by boneage-roi {manifest.package_version}"),
        ("trained on", manifest.training_data),
        ("licence", manifest.license_note),
        ("hand frame", f"{manifest.frame_size[0]} x {manifest.frame_size[1]} pixels (height x width)"),
        ("size", f"{sum(sizes.values()) / 1e6:.1f} MB"),
    ):
        facts.add_row(name, _cell(value))
    yield facts
    if manifest.metrics:
        yield metrics_table(manifest.metrics)
    yield plain_table(("region", "crop (h x w)", "margin", "features"), _region_rows(bundle))
    yield plain_table(("file", "kB"), ((name, f"{size / 1e3:,.0f}") for name, size in sizes.items()))


def run_table(folder: Path) -> Table:
    """What the stages of a training take on disk."""
    from boneage_roi.runs.disk import sizes
    from boneage_roi.runs.run import Run

    found = sizes(Run(folder))
    rows = [(each.name, each.state, f"{each.bytes / 1e6:,.1f}", f"{each.spare / 1e6:,.1f}") for each in found]
    total = (f"{sum(getattr(each, name) for each in found) / 1e6:,.1f}" for name in ("bytes", "spare"))
    return plain_table(("part", "", "MB", "that `clean` can take away"), [*rows, ("all", "", *total)])


def report_lines(report: "Report") -> Iterator[object]:
    """The errors of an evaluation, every hand that could not be read, and where the files are."""
    hands, failed = len(report.predictions), len(report.failures)
    head = f"{hands:,} hands, {hands - failed:,} predicted, {failed:,} failed"
    yield Text.assemble((printable(report.bundle), "bold"), f": {head}")
    for group, rows in report.errors.groupby("group", sort=False):
        yield _errors_table(str(group), rows)
    if len(report.stages):
        yield _stages_table(report.stages)
    for message in report.failures["message"]:
        yield Text(printable(f"failed: {message}"), style="red")
    if report.folder and len(report.worst):
        place = f"{report.folder / 'worst.csv'}, drawn in worst/ beside it"
        yield Text(printable(f"Worst hands ({len(report.worst):,}): {place}"), style="dim")
    written = f". Written to {report.folder}" if report.folder else ""
    yield Text(printable(f"Errors in months, with 95 % bootstrap intervals{written}"), style="dim")


def _stages_table(stages: "pd.DataFrame") -> Table:
    """What the fused age loses without each region, by stage; ``stages.csv`` has the rest."""
    wide = stages.pivot_table("worth", ["sex", "stage"], "region", sort=False)
    rows = [
        (f"{sex} {stage}", *("-" if value != value else f"{value:+.2f}" for value in values))
        for (sex, stage), values in zip(wide.index, wide.to_numpy(), strict=True)
    ]
    table = plain_table(("", *wide.columns), rows)
    table.title, table.title_justify, table.title_style = "worth of a region: error without it", "left", "bold"
    return table


def _errors_table(group: str, rows: "pd.DataFrame") -> Table:
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


def _region_rows(bundle: Bundle) -> Iterator[tuple[object, ...]]:
    for spec in bundle.manifest.networks:
        yield spec.region, f"{spec.size[0]} x {spec.size[1]}", spec.margin, spec.features


def _flatten(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name} / ")
        else:
            yield f"{prefix}{name}", f"{value:.4g}" if isinstance(value, float) else str(value)


def _one_decimal(value: float | str) -> str:
    return f"{value:.1f}" if isinstance(value, float) else "-"


def _cell(value: object) -> str:
    """Any text as the cell of a table: no markup, no control characters."""
    return escape(printable(value))
