"""What moved in a population of readings: a period against a reference, as ``boneage-roi predict --output`` wrote them.

A quantity has moved when the difference is surely no chance and large enough to matter. Surely: p below 0.05 after
Holm's correction for the number of quantities (Scandinavian Journal of Statistics 1979), so that of twenty comparisons
of like periods about one at most says that anything moved. Large enough: see :data:`LEAST_SHARE` and
:data:`LEAST_DISTANCE`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from boneage_roi.datasets.tables import read_parquet_table, read_text_table
from boneage_roi.errors import InputError
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.outputs.records import measure_column
from boneage_roi.quality.measures import IMAGE_MEASURES
from boneage_roi.regions import REGIONS, age_column
from boneage_roi.reports.comparing import compare_numbers, compare_shares, holm

ALPHA = 0.05

LEAST_SHARE = 0.01
"""A share that differs by less than a percentage point has not moved."""

LEAST_DISTANCE = 0.1
"""Numbers whose distributions differ by less, as the largest difference of their cumulative shares, have not moved."""

FEWEST = 20
"""Fewer hands tell nothing."""

FILES = ("drift.csv", "drift.png")

COLUMNS = (
    *("group", "quantity", "unit", "n_reference", "n", "reference", "reference_low", "reference_high", "spread"),
    *("value", "low", "high", "difference", "difference_low", "difference_high", "distance", "p", "moved"),
)


@dataclass(frozen=True, eq=False)
class Drift:
    """A period against a reference.

    Attributes:
        table: a row a quantity: ``group`` (outcome, reading, image or population), ``quantity``, ``unit``; hands
            ``n_reference`` and ``n``; the share or the mean of each with its 95 % interval, and their ``difference``
            with its own; ``spread``, the standard deviation of the reference; ``distance`` (of a share, how far it
            went; of numbers, Kolmogorov's and Smirnov's D, 0 to 1); ``p`` after Holm's correction; ``moved``.
        notes: what to know before believing it: quantities that could not be compared, another bundle.
        folder: where ``drift.csv`` and ``drift.png`` are; None when none were written.
    """

    table: pd.DataFrame
    notes: tuple[str, ...]
    folder: Path | None = None

    @property
    def moved(self) -> tuple[str, ...]:
        """The quantities that moved, the furthest first."""
        moved = self.table[self.table["moved"]].sort_values("distance", ascending=False)
        return tuple(moved["quantity"])

    @property
    def verdict(self) -> str:
        """In a line: what moved, from where to where."""
        rows = {row["quantity"]: row for row in self.table.to_dict("records")}
        hands = f"{int(self.table['n'].max()):,} hands against {int(self.table['n_reference'].max()):,}"
        if not self.moved:
            return f"nothing moved: {len(rows)} quantities of {hands}"
        told = [f"{name} {_told(rows[name])}" for name in self.moved]
        return f"moved: {'; '.join(told)} ({hands})"


def drift(
    new: pd.DataFrame | str | Path,
    reference: pd.DataFrame | str | Path,
    *,
    output: str | Path | None = None,
    overwrite: bool = False,
) -> Drift:
    """Compare the readings of a period with those of a reference.

    Args:
        new: the period: a table of :func:`boneage_roi.predict_table`, or the ``.csv`` or ``.parquet`` that ``predict
            --output`` wrote.
        reference: the same of an earlier time, of which somebody has seen that all is well.
        output: a folder for ``drift.csv`` and ``drift.png``; None writes nothing.
        overwrite: write over files that no such comparison made; never over the tables.

    Raises:
        InputError: a table cannot be read, was not made by a prediction, or has fewer than 20 hands.

    Example::

        found = drift("november.csv", "september.csv")
        print(found.verdict)
        found.table[["quantity", "reference", "value", "moved"]]
    """
    given = [path for path in (new, reference) if not isinstance(path, pd.DataFrame)]
    folder = None if output is None else Path(output)
    outputs = OutputFiles("drift", given, overwrite=overwrite)
    for name in FILES if folder else ():
        outputs.claim(folder / name)  # type: ignore[operator]
    now, before = (_read(table) for table in (new, reference))
    rows, missing = _compare(now, before)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    found = Drift(table, tuple(_notes(now, before, missing)), folder)
    if folder:
        from boneage_roi.reports.drift_plot import draw_drift

        outputs.write(folder / FILES[0], table.to_csv(index=False))
        outputs.write(folder / FILES[1], draw_drift(table))
    return found


def _read(table: pd.DataFrame | str | Path) -> pd.DataFrame:
    """A table of readings; texts as text, "" where there is none."""
    name = "the table" if isinstance(table, pd.DataFrame) else str(table)
    frame = table if isinstance(table, pd.DataFrame) else _read_file(Path(table))
    if not {"status", "quality", "bone_age_months"} <= set(frame):
        raise InputError(f"{name}: `boneage-roi predict --output` did not write this table")
    if len(frame) < FEWEST:
        raise InputError(f"{name}: {len(frame)} rows; at least {FEWEST} are needed to tell anything")
    return frame


def _read_file(path: Path) -> pd.DataFrame:
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"{path}: give a .csv or .parquet that `boneage-roi predict --output` wrote")
    table, separator = (read_text_table if path.suffix.lower() == ".csv" else read_parquet_table)(path)
    return table if separator == "," else table.replace(r"^(-?\d+),(\d+)$", r"\1.\2", regex=True)


def _compare(now: pd.DataFrame, before: pd.DataFrame) -> tuple[list[dict[str, Any]], list[str]]:
    """A row a quantity that both tables have, and the names of those that one lacks."""
    rows: list[dict[str, Any]] = []
    missing: list[str] = []
    for (group, name, unit, values), (*_, others) in zip(_quantities(now), _quantities(before), strict=True):
        if min(len(values), len(others)) < FEWEST:
            missing.append(name)
            continue
        compare = compare_shares if unit == "share" else compare_numbers
        rows.append({"group": group, "quantity": name, "unit": unit, **compare(others, values)})
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        least = LEAST_SHARE if row["unit"] == "share" else LEAST_DISTANCE
        row |= {"p": p, "moved": p < ALPHA and row["distance"] >= least}
    return rows, missing


def _quantities(table: pd.DataFrame) -> Iterator[tuple[str, str, str, NDArray[np.float64]]]:
    """Group, name, unit and values of everything that is watched; no values where the table lacks it."""
    read = table["status"] == "ok"

    def share(where: "pd.Series[bool]", of: "pd.Series[bool] | None" = None) -> NDArray[np.float64]:
        return np.asarray(where if of is None else where[of], float)

    def number(name: str) -> NDArray[np.float64]:
        if name not in table:
            return np.zeros(0)
        return np.asarray(_numbers(table[name]).dropna(), float)

    yield "outcome", "not readable", "share", share(table["status"] == "error")
    yield "outcome", "rejected", "share", share(table["status"] == "rejected", table["status"] != "error")
    yield "outcome", "warned", "share", share(table["quality"] == "warning", read)
    if {"lower", "upper"} <= set(table):
        widths = (_numbers(table["upper"]) - _numbers(table["lower"]))[read].dropna()
        yield "reading", "interval width", "months", np.asarray(widths, float)
    else:
        yield "reading", "interval width", "months", np.zeros(0)
    yield "reading", "disagreement of regions", "months", _disagreement(table[read])
    yield "reading", "bone age minus age", "months", number("difference_months")
    for measure in IMAGE_MEASURES:
        yield "image", measure.replace("_", " "), "", number(measure_column(measure))
    sex = table["sex"] if "sex" in table else pd.Series("", index=table.index)
    known = sex.isin(["F", "M"])
    yield "population", "girls", "share", share(sex == "F", known)
    yield "population", "age", "months", number("chronological_age_months")
    yield "population", "bone age", "months", number("bone_age_months")


def _numbers(column: "pd.Series[Any]") -> "pd.Series[float]":
    """A column's numbers; none where it holds something else, or what no image gives: beyond any measure."""
    values = pd.to_numeric(column, errors="coerce").astype(float)
    return values.where(values.abs() < 1e12)


def _disagreement(table: pd.DataFrame) -> NDArray[np.float64]:
    """Standard deviation of the regions' ages of every hand that has two or more, months."""
    columns = [column for region in REGIONS if (column := age_column(region)) in table]
    ages = np.column_stack([_numbers(table[column]) for column in columns]) if columns else np.zeros((0, 1))
    ages = ages[np.isfinite(ages).sum(axis=1) > 1]
    return np.asarray(np.nanstd(ages, axis=1))


def _notes(now: pd.DataFrame, before: pd.DataFrame, missing: list[str]) -> Iterator[str]:
    if missing:
        yield f"not compared, for fewer than {FEWEST} hands of a table tell it: {', '.join(missing)}"
    if "bundle" in now and "bundle" in before:
        names = [sorted({str(name) for name in table["bundle"].dropna()} - {""}) for table in (now, before)]
        if names[0] != names[1]:
            yield f"read by another bundle ({', '.join(names[0])}; the reference by {', '.join(names[1])})"


def _told(row: Mapping[Any, Any]) -> str:
    """From where to where a quantity went: "2.1 % -> 5.4 % (+3.3, 95 % +1.9 to +4.8)"."""
    scale, unit = (100, " %") if row["unit"] == "share" else (1, f" {row['unit']}".rstrip())
    old, new, change, low, high = (
        scale * row[name] for name in ("reference", "value", "difference", "difference_low", "difference_high")
    )
    return f"{old:.3g}{unit} -> {new:.3g}{unit} ({change:+.2g}, 95 % {low:+.2g} to {high:+.2g})"
