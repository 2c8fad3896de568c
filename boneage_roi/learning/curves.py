"""Learning curves of a stage: ``curves.csv``, a row an epoch, and the same drawn as ``curves.png``."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from boneage_roi.files import write_atomically

CSV, PNG = "curves.csv", "curves.png"


def add_epoch(folder: Path, name: str, epoch: int, values: Mapping[str, float]) -> None:
    """Add an epoch to a stage's curves; epochs of the same name from this one on, of a stopped training, are replaced.

    Args:
        folder: the stage's.
        name: the round or the fold, such as ``round1``.
        epoch: counted from 1.
        values: what was measured on the training's own hands, by its name.
    """
    try:
        before = pd.read_csv(folder / CSV)
        before = before[(before["round"] != name) | (before["epoch"] < epoch)]
    except (OSError, ValueError, KeyError):  # the first epoch, or a file that was damaged
        before = pd.DataFrame()
    row = pd.DataFrame([{"round": name, "epoch": epoch, **{key: f"{value:.6g}" for key, value in values.items()}}])
    write_atomically(folder / CSV, pd.concat([before, row]).to_csv(index=False))


def seconds(folder: Path) -> float:
    """How long all epochs of a stage took that were recorded; 0 where none were."""
    try:
        return float(pd.read_csv(folder / CSV)["seconds"].sum())
    except (OSError, ValueError, KeyError):
        return 0.0


def draw(folder: Path) -> None:
    """Draw a stage's curves, one panel a measure and one line a round; nothing when there are none."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    try:
        table = pd.read_csv(folder / CSV)
    except (OSError, ValueError):
        return
    measures = [name for name in table if name not in ("round", "epoch", "seconds")]
    figure = Figure(figsize=(4.5 * len(measures), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, measure in zip(figure.subplots(1, len(measures), squeeze=False)[0], measures, strict=True):
        for name, rows in table.groupby("round", sort=False):
            axes.plot(rows["epoch"], pd.to_numeric(rows[measure], errors="coerce"), marker=".", label=str(name))
        axes.set_xlabel("epoch")
        axes.set_title(str(measure))
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    partial = folder / f".{PNG}"
    figure.savefig(partial, format="png", dpi=100)
    partial.replace(folder / PNG)
