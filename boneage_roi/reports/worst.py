"""The hands with the largest errors: a table of them, and a picture of each."""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.progress import track

from boneage_roi.errors import InputError
from boneage_roi.files import write_atomically
from boneage_roi.imaging.reading import read_radiograph
from boneage_roi.outputs.overlay import draw_overlay, save_image
from boneage_roi.pipeline.inputs import Item
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.regions import REGIONS, age_column

REGION_COLUMNS = tuple(age_column(region) for region in REGIONS)
COLUMNS = (
    *("rank", "id", "path", "sex", "boneage", "bone_age_months", "error", "lower", "upper"),
    *REGION_COLUMNS,
    *("regions_spread", "flags", "overlay"),
)
"""Columns of ``worst.csv``; ages are months, ``overlay`` is a file in ``worst/``."""


def save_worst(
    predictions: pd.DataFrame, items: Sequence[Item], predictor: BoneAgeReader, folder: Path, count: int
) -> int:
    """Write ``worst.csv`` and ``worst/01-ID.png`` ... in the place of earlier ones; without hands they are removed.

    Args:
        predictions: a row a hand, see :data:`boneage_roi.reports.evaluate.COLUMNS`.
        items: the image of each row.
        predictor: what made the predictions; reads the hands again to draw what they rest on.
        folder: where the report is.
        count: how many hands at most.

    Returns:
        How many hands are in ``worst.csv``.
    """
    _remove(folder)
    hands = worst_hands(predictions, count)
    if hands.empty:
        return 0
    todo = list(zip(hands.index, hands["overlay"], strict=True))
    for position, name in track(todo, "drawing the worst hands", console=Console(stderr=True)):
        if not _draw(predictor, items[position], folder / "worst" / name):
            hands.loc[position, "overlay"] = ""
    write_atomically(folder / "worst.csv", hands.to_csv(index=False))
    return len(hands)


def worst_hands(predictions: pd.DataFrame, count: int) -> pd.DataFrame:
    """The hands whose predicted age is furthest from the true one, worst first.

    ``error`` is predicted - true and ``regions_spread`` the largest minus the smallest region age, both in months.

    Returns:
        ``COLUMNS``, under the hands' index in ``predictions``.
    """
    hands = predictions[predictions["status"] == "ok"]
    hands = hands.assign(error=(hands["bone_age_months"] - hands["boneage"]).round(2))
    hands = hands.sort_values("error", key=abs, ascending=False, kind="stable").head(count)
    regions = hands[list(REGION_COLUMNS)]
    ranks = range(1, len(hands) + 1)
    return hands.assign(
        rank=ranks,
        regions_spread=(regions.max(axis=1) - regions.min(axis=1)).round(2),
        overlay=[_file_name(rank, name) for rank, name in zip(ranks, hands["id"], strict=True)],
    )[list(COLUMNS)]


def _file_name(rank: int, name: str) -> str:
    """A name for any id; one that is a path ends in what tells it apart."""
    return f"{rank:02d}-{re.sub(r'[^A-Za-z0-9._-]+', '_', name)[-100:]}.png"


def _draw(predictor: BoneAgeReader, item: Item, path: Path) -> bool:
    """Draw a hand; False when its image, read in an earlier evaluation, cannot be read any more."""
    try:
        radiograph = read_radiograph(item.path, native_size=item.native_size)
        analysis = predictor.analyse(radiograph)
        bone_age = predictor.read(analysis, item.sex)
    except InputError:
        return False
    save_image(path, draw_overlay(radiograph, analysis.frame, analysis.boxes, mask=analysis.mask, bone_age=bone_age))
    return True


def _remove(folder: Path) -> None:
    """Take away an earlier evaluation's files, and nothing that somebody else put beside them."""
    (folder / "worst.csv").unlink(missing_ok=True)
    for picture in (folder / "worst").glob("[0-9][0-9]*-*.png*"):
        picture.unlink()
    with suppress(OSError):  # not there, or not empty
        (folder / "worst").rmdir()
