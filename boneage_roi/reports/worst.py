"""The hands with the largest errors: a table of them, and a picture of each."""

import heapq
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from boneage_roi.outputs.csv import csv_header, csv_text
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.outputs.overlay import encode_png
from boneage_roi.outputs.pictures import bone_age_overlay
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.regions import age_column


class WorstPictures:
    """Pictures of the worst hands so far, drawn while their analysis is at hand; memory holds ``count`` of them.

    Args:
        count: how many hands at most; 0 draws none.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._worst: list[tuple[float, int]] = []
        self._pictures: dict[int, bytes] = {}

    def __contains__(self, place: int) -> bool:
        return place in self._pictures

    def __getitem__(self, place: int) -> bytes:
        return self._pictures[place]

    def offer(self, place: int, error: float, outcome: Outcome) -> None:
        """Draw a hand if it is among the worst so far.

        Args:
            place: which hand of the manifest; of equal errors the first ones count.
            error: predicted - true, months.
        """
        rank = (round(abs(error), 2), -place)
        if self._count == 0 or (len(self._worst) == self._count and rank < self._worst[0]):
            return
        self.draw(place, outcome)
        heapq.heappush(self._worst, rank)
        if len(self._worst) > self._count:
            self._pictures.pop(-heapq.heappop(self._worst)[1], None)

    def draw(self, place: int, outcome: Outcome) -> None:
        """Draw a hand whatever its error; one without a bone age has no picture."""
        picture = bone_age_overlay(outcome)
        if picture is not None:
            self._pictures[place] = encode_png(picture)


def worst_hands(predictions: pd.DataFrame, count: int, regions: Sequence[str]) -> pd.DataFrame:
    """The hands whose predicted age is furthest from the true one, worst first.

    Args:
        predictions: a row a hand, see :class:`boneage_roi.reports.evaluate.Report`.
        count: how many hands at most.
        regions: of the bundle.

    Returns:
        ``rank, id, path, sex, boneage, bone_age_months, error`` (predicted - true), ``lower, upper``, each region's
        age, ``regions_spread`` (the largest minus the smallest region age), ``flags``, and ``overlay`` (a file in
        ``worst/``), under the hands' index in ``predictions``; ages are months.
    """
    ages = [age_column(region) for region in regions]
    hands = predictions[predictions["status"] == "ok"]
    hands = hands.assign(error=(hands["bone_age_months"] - hands["boneage"]).round(2))
    hands = hands.sort_values("error", key=abs, ascending=False, kind="stable").head(count)
    ranks = range(1, len(hands) + 1)
    start = ["rank", "id", "path", "sex", "boneage", "bone_age_months", "error", "lower", "upper"]
    return hands.assign(
        rank=ranks,
        regions_spread=(hands[ages].max(axis=1) - hands[ages].min(axis=1)).round(2),
        overlay=[_file_name(rank, name) for rank, name in zip(ranks, hands["id"], strict=True)],
    )[[*start, *ages, "regions_spread", "flags", "overlay"]]


def write_worst(hands: pd.DataFrame, pictures: WorstPictures, folder: Path, outputs: OutputFiles) -> None:
    """Write ``worst.csv`` and ``worst/01-ID.png`` ... in the place of earlier ones; without hands they are removed.

    Args:
        hands: from :func:`worst_hands`.
        pictures: of the hands, by their index; one without has an empty ``overlay``.
        folder: where the report is.
        outputs: what may be written.
    """
    places = [int(place) for place in hands.index]
    drawn = [name if place in pictures else "" for place, name in zip(places, hands["overlay"], strict=True)]
    for place, name in zip(places, drawn, strict=True):
        if name:
            outputs.write(folder / "worst" / name, pictures[place])
    for earlier in (folder / "worst").glob("[0-9][0-9]*-*.png"):
        if earlier.name not in drawn:
            outputs.remove(earlier)
    if hands.empty:
        outputs.remove(folder / "worst.csv")
        outputs.remove_folder(folder / "worst")
        return
    columns = [str(name) for name in hands]
    table = hands.assign(overlay=drawn).astype(object).where(hands.notna(), "")
    rows = [dict(zip(columns, row, strict=True)) for row in table.itertuples(index=False)]
    outputs.write(folder / "worst.csv", csv_header(columns) + csv_text(rows, columns))


def _file_name(rank: int, name: str) -> str:
    """A name for any id; one that is a path ends in what tells it apart."""
    return f"{rank:02d}-{re.sub(r'[^A-Za-z0-9._-]+', '_', name)[-100:]}.png"
