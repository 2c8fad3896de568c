"""Folders of pictures, one an outcome: overlays and masks."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path, PureWindowsPath

import numpy as np

from boneage_roi.outputs.files import OutputFiles
from boneage_roi.outputs.overlay import Image, draw_overlay, encode_png
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.item import Item

LONGEST_STEM = 200
"""Bytes; a file's name may have 255."""


class PictureSink:
    """A PNG an outcome, named after the input.

    Args:
        folder: where the pictures go.
        items: all inputs, in order: their pictures' places are known, and refused, before work begins.
        outputs: what may be written.
        draw: makes the picture of an outcome, None where there is nothing to show.
    """

    def __init__(
        self, folder: Path, items: Iterable[Item], outputs: OutputFiles, draw: Callable[[Outcome], Image | None]
    ) -> None:
        self._paths = [folder / name for name in picture_names(items)]
        self._outputs = outputs
        self._draw = draw
        self._done = 0

    def open(self) -> None:
        """Refuse places where something else lies."""
        for path in self._paths:
            self._outputs.claim(path)

    def write(self, outcome: Outcome) -> None:
        """Draw the next input's picture, if there is one to draw."""
        path = self._paths[self._done]
        self._done += 1
        picture = self._draw(outcome)
        if picture is not None:
            self._outputs.write(path, encode_png(picture))

    def close(self, complete: bool) -> None:
        """Every picture is on the disk already."""


def bone_age_overlay(outcome: Outcome) -> Image | None:
    """Hand, regions and bone age drawn on the radiograph; None without a bone age."""
    return None if outcome.bone_age is None else region_overlay(outcome)


def region_overlay(outcome: Outcome) -> Image | None:
    """Hand and regions drawn on the radiograph, and the bone age where there is one; None without a hand."""
    found = outcome.analysis
    if found is None:
        return None
    return draw_overlay(found.radiograph, found.frame, found.boxes, mask=found.mask, bone_age=outcome.bone_age)


def hand_mask(outcome: Outcome) -> Image | None:
    """The hand's mask, 255 on hand and forearm; None without a hand."""
    return None if outcome.analysis is None else outcome.analysis.mask.pixels.astype(np.uint8) * 255


def picture_names(items: Iterable[Item]) -> list[str]:
    """A PNG name for every image: its stem, numbered where several images share one, also but for capitals.

    >>> picture_names([Item("a/hand.png"), Item("b/Hand.png"), Item("c/hand.dcm")])
    ['hand.png', 'Hand-2.png', 'hand-3.png']
    """
    names: list[str] = []
    taken: set[str] = set()
    last: dict[str, int] = {}
    for item in items:
        stem = _stem(item)
        name, number = stem, last.get(stem.casefold(), 1)
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}"
        last[stem.casefold()] = number
        taken.add(name.casefold())
        names.append(f"{name}.png")
    return names


def _stem(item: Item) -> str:
    """A file's name without its ending; of a member of an archive whatever comes after slashes, colons, backslashes."""
    member = "" if item.place is None else item.place.member
    stem = PureWindowsPath(member).stem if member else Path(item.path).stem
    if len(os.fsencode(stem)) > LONGEST_STEM:
        stem = os.fsencode(stem)[:LONGEST_STEM].decode("utf-8", "ignore")
    return stem
