"""Which growth plate or digit a box holds, by the geometry of hands whose joints are named."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from boneage_roi.regions import GROWTH_PLATES
from boneage_roi.values import RegionBox

EXEMPLARS = Path(__file__).with_name("plates.json")
"""Mean hands, (K, 16, 2): centres of the growth plates in units of the hand's spread, each also mirrored."""

FEWEST = 8
"""Fewer boxes than this are not named: too many hands would fit them."""

STEPS = 6
TOLERANCE = 0.25
"""A box further from where its plate should be is not named; in units of the hand's spread: a finger's width."""

Points = NDArray[np.float64]


def name_plates(boxes: Sequence[RegionBox]) -> tuple[str | None, ...]:
    """Name the growth plates of a hand: ``MCP1`` to ``MCP5``, ``PIP2`` ... ``DIP5``, ``IP1``, ``radius``, ``ulna``.

    An exemplar hand is assigned to the boxes, moved onto them by an affine map, and assigned again; the exemplar that
    fits best names them (as the label builder names drawn joints). It needs no knowledge of the side.

    Args:
        boxes: regions found in a hand frame, upright; only those of ``epiphysis`` are named.

    Returns:
        A name for each box, None for other regions and for boxes that fit nowhere. No name comes twice.

    Example:
        >>> name_plates([RegionBox("carpal", (0, 0, 9, 9), 1.0)])
        (None,)
    """
    rows = [row for row, box in enumerate(boxes) if box.region == "epiphysis"]
    names: list[str | None] = [None] * len(boxes)
    if len(rows) < FEWEST:
        return tuple(names)
    corners = np.array([boxes[row].box for row in rows], float)
    centres = (corners[:, :2] + corners[:, 2:]) / 2
    middle, spread = centres.mean(axis=0), _spread(centres)
    fits = [_fitted(exemplar, (centres - middle) / spread) for exemplar in _exemplars()]
    plates, distances = min(fits, key=lambda fit: float(np.minimum(fit[1], 1.0).mean()))
    for row, plate, distance in zip(rows, plates, distances, strict=True):
        if plate >= 0 and distance <= TOLERANCE:
            names[row] = GROWTH_PLATES[plate]
    return tuple(names)


def name_boxes(boxes: Sequence[RegionBox]) -> tuple[RegionBox, ...]:
    """The same boxes with the names of growth plates and digits, where they can be told; see :func:`name_plates`.

    A phalanx box is ``digit1`` (the thumb) to ``digit5``, by whose joints lie in it.
    """
    named = [replace(box, name=name) for box, name in zip(boxes, name_plates(boxes), strict=True)]
    rows = [row for row, box in enumerate(boxes) if box.region == "phalanx"]
    inside = np.zeros((len(rows), 5))
    for plate in (box for box in named if box.region == "epiphysis" and box.name):
        digit = int(plate.name[-1]) if plate.name and plate.name[-1].isdigit() else 0
        middle = ((plate.box[0] + plate.box[2]) / 2, (plate.box[1] + plate.box[3]) / 2)
        for place, row in enumerate(rows):
            left, top, right, bottom = boxes[row].box
            if digit and left < middle[0] < right and top < middle[1] < bottom:
                # Fingers that lie side by side share their boxes' rims: what is nearer to the axis counts more.
                inside[place, digit - 1] += 1 - abs(middle[0] - (left + right) / 2) / max(right - left, 1e-6)
    while inside.size and inside.max() > 0:
        place, digit = divmod(int(inside.argmax()), 5)
        named[rows[place]] = replace(named[rows[place]], name=f"digit{digit + 1}")
        inside[place], inside[:, digit] = 0, 0
    return tuple(named)


def normalised(hand: Points) -> Points:
    """Points (N, 2) around their mean, in units of their spread."""
    return np.asarray((hand - hand.mean(axis=0)) / _spread(hand))


def _spread(points: Points) -> float:
    return max(float(np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean())), 1e-6)


@cache
def _exemplars() -> Points:
    hands = np.array(json.loads(EXEMPLARS.read_text(encoding="utf-8")), float)
    return np.concatenate([hands, hands * [-1, 1]])


def _fitted(exemplar: Points, centres: Points) -> tuple[NDArray[np.int_], Points]:
    """The plate (-1: none) of each centre, and how far it lies from it, after the exemplar was moved onto them."""
    placed = exemplar
    design = np.column_stack([exemplar, np.ones(len(exemplar))])
    plates = np.full(len(centres), -1)
    for _ in range(STEPS):
        distances = np.hypot(*(centres[:, None] - placed[None]).transpose(2, 0, 1))
        assigned = _assigned(distances)
        if np.array_equal(assigned, plates):
            break
        plates = assigned
        known = plates >= 0
        moved = np.linalg.lstsq(design[plates[known]], centres[known], rcond=None)[0]
        placed = design @ moved
    distances = np.hypot(*(centres[:, None] - placed[None]).transpose(2, 0, 1))
    return plates, np.asarray(np.where(plates >= 0, distances[np.arange(len(centres)), plates], np.inf))


def _assigned(distances: Points) -> NDArray[np.int_]:
    """Each row's column, nearest pairs first, no column twice; then pairs swap while that brings them nearer.

    In plain lists: single numbers of an array take many times as long, and every hand is fitted a hundred times.
    """
    count, width = distances.shape
    columns, taken = [-1] * count, [False] * width
    for flat in np.argsort(distances, axis=None).tolist():
        row, column = divmod(flat, width)
        if columns[row] < 0 and not taken[column]:
            columns[row], taken[column] = column, True
    squares = (distances**2).tolist()
    swapped = True
    while swapped:
        swapped = False
        for one, own in enumerate(squares):
            for other in range(one):
                theirs = squares[other]
                kept = own[columns[one]] + theirs[columns[other]]
                if own[columns[other]] + theirs[columns[one]] < kept - 1e-9:
                    columns[one], columns[other] = columns[other], columns[one]
                    swapped = True
    return np.array(columns)
