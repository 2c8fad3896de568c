"""What the commands show on a terminal: tables on stdout, progress on stderr."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rich import box
from rich.console import Console, Group
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.regions import REGIONS, age_column

T = TypeVar("T")

PIPED_WIDTH = 200
"""Columns of a table that goes to a file or another program, which has no width of its own."""


def show(content: object) -> None:
    """Print to stdout."""
    console = Console(highlight=False)
    # Narrower than 80 columns a table would lose digits; a terminal wraps its lines instead.
    width = max(console.width, 80) if console.is_terminal else PIPED_WIDTH
    console.print(content, width=width, crop=False)


def with_progress(values: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Pass values on while a bar on stderr tells how many are done and the time left."""
    console = Console(stderr=True)
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = total < 2 or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        yield from progress.track(values, total=total)


def years_and_months(months: float) -> str:
    """124.3 as ``10 y 4 m``."""
    whole = round(months)
    return f"{whole // 12} y {whole % 12} m"


HEADINGS = {
    "radius-ulna": "radius-\nulna",
    "metacarpal": "meta-\ncarpal",
    "phalanx": "pha-\nlanx",
    "epiphysis": "epi-\nphysis",
}
"""Region names broken so that six columns fit."""


def predictions_table(rows: Iterable[dict[str, Any]]) -> Group:
    """Rows of ``RESULT_COLUMNS`` that hold a bone age; narrow enough for 80 columns, flags below."""
    table = Table(title="Bone age, and what each region says in months", title_justify="left", box=box.SIMPLE_HEAD)
    table.show_edge = False
    table.padding = 0  # the box leaves a space between columns
    table.add_column("image", overflow="fold", min_width=9)
    table.add_column("bone age", justify="right", no_wrap=True)
    table.add_column("90 %", justify="right", no_wrap=True)
    table.add_column("sex", no_wrap=True)
    for region in REGIONS:
        table.add_column(HEADINGS.get(region, region), justify="right", no_wrap=True)
    flags = []
    for row in rows:
        months = row["bone_age_months"]
        age = f"{years_and_months(months)}\n{months:.1f} m"
        regions = (_one_decimal(row[age_column(region)]) for region in REGIONS)
        interval = f"{row['lower']:.0f}-{row['upper']:.0f}"
        table.add_row(escape(Path(row["path"]).name), age, interval, row["sex"] or "?", *regions)
        if row["flags"]:
            flags.append(f"{row['path']}: {row['flags']}")
    return Group(table, *(Text(line) for line in flags))


def plain_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table of anything, the first column to the left and the others to the right."""
    table = Table(Column(headings[0], overflow="fold"), box=box.SIMPLE_HEAD)
    for heading in headings[1:]:
        table.add_column(heading, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    return table


def metrics_table(metrics: dict[str, Any]) -> Table:
    """Nested numbers, a line each."""
    return plain_table(("metric", "value"), _flatten(metrics))


def bundle_tables(bundle: Bundle) -> Iterator[object]:
    """What a bundle is, what it was trained on, what it reached and what it weighs."""
    manifest = bundle.manifest
    sizes = {name: bundle.bytes(name) for name in manifest.files}
    facts = Table(show_header=False, box=box.SIMPLE, title=f"Bundle {escape(manifest.name)}", title_justify="left")
    for name, value in (
        ("folder", bundle.path),
        ("made", f"{manifest.created:%Y-%m-%d} by boneage-roi {manifest.package_version}"),
        ("trained on", manifest.training_data),
        ("licence", manifest.license_note),
        ("hand frame", f"{manifest.frame_size[0]} x {manifest.frame_size[1]} pixels (height x width)"),
        ("size", f"{sum(sizes.values()) / 1e6:.1f} MB"),
    ):
        facts.add_row(name, escape(str(value)))
    yield facts
    if manifest.metrics:
        yield metrics_table(manifest.metrics)
    yield plain_table(("region", "crop (h x w)", "margin", "features"), _region_rows(bundle))
    yield plain_table(("file", "kB"), ((name, f"{size / 1e3:,.0f}") for name, size in sizes.items()))


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
