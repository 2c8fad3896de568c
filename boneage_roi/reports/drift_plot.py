"""A drift drawn: how far every quantity went, and which of them moved."""

from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MOVED, STAYED = "#D55E00", "#0072B2"


def draw_drift(table: pd.DataFrame) -> bytes:
    """A PNG of a drift's table: differences of shares in percentage points, of means in standard deviations."""
    shares, numbers = table[table["unit"] == "share"], table[table["unit"] != "share"]
    figure = Figure(figsize=(9, 1.6 + 0.34 * len(table)), layout="constrained")
    FigureCanvasAgg(figure)
    heights = [max(len(shares), 1), max(len(numbers), 1)]
    upper, lower = figure.subplots(2, 1, height_ratios=heights)
    _differences(upper, shares, pd.Series(0.01, shares.index), "difference (percentage points), 95 % interval")
    spread = numbers["spread"].where(numbers["spread"] > 0, 1.0)
    _differences(lower, numbers, spread, "difference of the mean (standard deviations of the reference), 95 % interval")
    hands = f"{table['n'].max():,.0f} hands against {table['n_reference'].max():,.0f}"
    figure.suptitle(f"What moved: {hands}", fontsize="medium")
    content = BytesIO()
    figure.savefig(content, dpi=150)
    return content.getvalue()


def _differences(axes: Axes, rows: pd.DataFrame, unit: "pd.Series[float]", label: str) -> None:
    places = np.arange(len(rows))[::-1]
    values, low, high = (rows[f"difference{end}"] / unit for end in ("", "_low", "_high"))
    for moved, colour, name in ((False, STAYED, "stayed"), (True, MOVED, "moved")):
        where = (rows["moved"] == moved).to_numpy(bool)
        if not where.any():
            continue
        reach = np.vstack([(values - low)[where], (high - values)[where]]).clip(min=0)
        style: dict[str, Any] = {"fmt": "D" if moved else "o", "color": colour, "capsize": 3, "label": name}
        axes.errorbar(values[where], places[where], xerr=reach, **style)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(places, list(rows["quantity"]))
    axes.set_ylim(-0.6, max(len(rows), 1) - 0.4)
    axes.set_xlabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    if len(rows):
        axes.legend(frameon=False, fontsize="small", loc="best")
