"""Plots of an error report, as PNG files; see ``metrics`` for the columns of a table of predictions."""

from collections.abc import Callable, Iterator
from io import BytesIO

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from boneage_roi.metrics import AGE_BAND_EDGES, AGE_BANDS, error_table

SEX_STYLE = {"F": ("#D55E00", "o", "girls"), "M": ("#0072B2", "^", "boys")}
"""Colour (Okabe and Ito's colour-blind safe set), marker and name of each sex."""

GREY = "#555555"


PLOTS = ("predicted-against-true.png", "bland-altman.png", "mae-by-age.png", "mae-by-region.png")


def draw_plots(predictions: pd.DataFrame) -> Iterator[tuple[str, bytes]]:
    """Draw every plot of the hands that have a prediction.

    Yields:
        The names of ``PLOTS`` and the content of each PNG file.
    """
    seen = predictions[predictions["bone_age_months"].notna()]
    table = error_table(predictions)
    drawings: tuple[tuple[tuple[float, float], Callable[[Axes], None]], ...] = (
        ((6.5, 6.5), lambda axes: draw_predicted(axes, seen)),
        ((8, 5), lambda axes: draw_bland_altman(axes, seen)),
        ((8, 5), lambda axes: draw_by_age(axes, table)),
        ((8, 4.5), lambda axes: draw_by_region(axes, table)),
    )
    for name, (size, draw) in zip(PLOTS, drawings, strict=True):
        yield name, _png(size, draw)


def draw_predicted(axes: Axes, hands: pd.DataFrame) -> None:
    """Predicted against true bone age, with the identity line and the bands of 12 and 24 months."""
    line = np.array([0, AGE_BAND_EDGES[-1]])
    axes.plot(line, line, color="black", linewidth=1, label="equal")
    for months, style in ((12, "--"), (24, ":")):
        axes.plot(line, line + months, style, color=GREY, linewidth=1, label=f"± {months} months")
        axes.plot(line, line - months, style, color=GREY, linewidth=1)
    _scatter(axes, hands, hands["boneage"], hands["bone_age_months"])
    axes.set(
        xlim=line, ylim=line, xlabel="true bone age (months)", ylabel="predicted bone age (months)", aspect="equal"
    )
    axes.set(
        xticks=range(0, 241, 24),
        yticks=range(0, 241, 24),
        title=f"Predicted against true bone age (n = {len(hands):,})",
    )
    axes.legend(loc="upper left", frameon=False)


def draw_bland_altman(axes: Axes, hands: pd.DataFrame) -> None:
    """Difference against mean of prediction and truth, with bias and 95 % limits (Bland and Altman, Lancet 1986)."""
    difference = hands["bone_age_months"] - hands["boneage"]
    bias = difference.mean()
    reach = 1.96 * difference.std() if len(hands) > 1 else 0.0
    _scatter(axes, hands, (hands["bone_age_months"] + hands["boneage"]) / 2, difference)
    axes.axhline(0, color="black", linewidth=0.6)
    for value, name, style in ((bias, "bias", "-"), (bias + reach, "+1.96 SD", "--"), (bias - reach, "-1.96 SD", "--")):
        axes.axhline(value, color=GREY, linestyle=style, linewidth=1.2, label=f"{name}: {value:+.1f} months")
    axes.set(xlabel="mean of predicted and true bone age (months)", ylabel="predicted - true (months)")
    axes.set(xlim=(0, AGE_BAND_EDGES[-1]), xticks=range(0, 241, 24), title=f"Bland-Altman (n = {len(hands):,})")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), frameon=False, ncols=3)


def draw_by_age(axes: Axes, table: pd.DataFrame) -> None:
    """MAE by age band and sex, with 95 % intervals."""
    rows = table[table["group"] == "sex x age band"].copy()
    rows[["sex", "band"]] = rows["level"].str.split(" ", expand=True) if len(rows) else ""
    for offset, (sex, (colour, _, name)) in zip((-0.2, 0.2), SEX_STYLE.items(), strict=True):
        group = rows[rows["sex"] == sex]
        places = np.array([AGE_BANDS.index(band) for band in group["band"]], dtype=float) + offset
        _bars(axes, places, group, colour, f"{name} (n = {group['n'].sum():,})", width=0.38)
    axes.set_xticks(range(len(AGE_BANDS)), AGE_BANDS)
    axes.set(xlabel="true bone age (months)", ylabel="mean absolute error (months)")
    axes.set_title(f"Error by age and sex, 95 % intervals (n = {rows['n'].sum():,})")
    axes.legend(frameon=False)


def draw_by_region(axes: Axes, table: pd.DataFrame) -> None:
    """MAE of each region's own reading and of the fused bone age, with 95 % intervals."""
    seen = table[table["n"] > 0]
    regions, fused = seen[seen["group"] == "region"], seen[seen["group"] == "overall"]
    names = [*regions["level"], *fused["level"].replace("all", "fused")]
    places = np.arange(len(names), dtype=float)
    _bars(axes, places[: len(regions)], regions, "#56B4E9", "region alone", width=0.7)
    _bars(axes, places[len(regions) :], fused, "#009E73", "fused", width=0.7)
    axes.set_xticks(places, names)
    axes.set(ylabel="mean absolute error (months)")
    axes.set_title(f"Error by region, 95 % intervals (n = {fused['n'].sum():,}; in a bar: hands with the region)")


def _scatter(axes: Axes, hands: pd.DataFrame, x: "pd.Series[float]", y: "pd.Series[float]") -> None:
    for sex, (colour, marker, name) in SEX_STYLE.items():
        chosen = hands["sex"] == sex
        label = f"{name} (n = {chosen.sum():,})"
        axes.scatter(x[chosen], y[chosen], s=14, marker=marker, color=colour, alpha=0.45, linewidths=0, label=label)


def _bars(axes: Axes, places: np.ndarray, rows: pd.DataFrame, colour: str, label: str, width: float) -> None:
    height = rows["mae"].to_numpy()
    reach = np.vstack([height - rows["mae_low"], rows["mae_high"] - height])
    axes.bar(places, height, width, color=colour, yerr=reach, capsize=3, ecolor="black", label=label)
    for place, count in zip(places, rows["n"], strict=True):
        axes.text(place, 0.2, f"{count:,}", ha="center", va="bottom", fontsize=7, color="white", fontweight="bold")


def _png(size: tuple[float, float], draw: Callable[[Axes], None]) -> bytes:
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    draw(axes)
    content = BytesIO()
    figure.savefig(content, dpi=150)
    return content.getvalue()


def draw_comparison(table: pd.DataFrame) -> bytes:
    """Error against the time a hand takes, one point a system with its interval: a PNG file.

    Args:
        table: of :func:`boneage_roi.reports.compare.compare`.
    """
    seen = table[table["mae"].notna() & table["milliseconds"].notna()] if "mae" in table else table.iloc[:0]

    def draw(axes: Axes) -> None:
        for row in seen.to_dict("records"):
            ends = [[row["mae"] - row["mae_low"]], [row["mae_high"] - row["mae"]]]
            axes.errorbar([row["milliseconds"]], [row["mae"]], yerr=ends, fmt="o", color="#0072B2", capsize=3)
            axes.annotate(row["name"], (row["milliseconds"], row["mae"]), xytext=(6, 4), textcoords="offset points")
        axes.set(xlabel="milliseconds a hand", ylabel="mean absolute error (months)", ylim=(0, None))
        axes.margins(x=0.25)
        axes.grid(alpha=0.3)

    return _png((8, 5), draw)
