"""Ages of single bones: sixteen growth plates, five digits and the carpal block, each from its own crop alone.

The networks learn from all crops of a region at once, and most of a hand's crops show upright digits. A crop that is
read alone is therefore turned until its digit points up: thumb and little finger lean, and as they lie the networks
read next to nothing from them. Alone, each bone is off in its own way. A bundle's ``bones.json`` holds what was
measured on hands that no network learnt from: a line that takes a bone's raw age to the age that such bones have, and
the factor by which its spread is too small. A bone whose error is still too large for use (:data:`LARGEST_ERROR`) gets
no age. Without the file the raw ages stand.

A bone is *far* from the others when it lies more than :data:`FAR` standard deviations from the median of its kind
(growth plates, or digits), where the standard deviation is the larger of the kind's scatter on this hand (1.4826 times
the median absolute deviation) and the bone's own spread.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from boneage_roi.files import read_json
from boneage_roi.regional_models.crops import crop_boxes
from boneage_roi.regional_models.runtime import RegionReader
from boneage_roi.regions import GROWTH_PLATES
from boneage_roi.values import MONTHLY, AgeGrid, BoneReading, FloatArray, HandFrame, RegionBox, RegionReading, Sex

BONES_FILE = "bones.json"

DIGITS = tuple(f"digit{digit}" for digit in range(1, 6))

BONES: tuple[str, ...] = (*GROWTH_PLATES, *DIGITS, "carpal")
"""Every bone that may have an age of its own, in the order of tables."""

REGIONS_OF_BONES = ("epiphysis", "phalanx", "carpal")
"""The regions whose crops each hold one bone of ``BONES``, or one digit."""

FAR = 2.5
"""Standard deviations."""

FEWEST = 4
"""Fewer bones of a kind than this have no median to be far from."""

LARGEST_ERROR = 30.0
"""Months, root mean square: a bone that is further off than this, alone, is not read alone."""


@dataclass(frozen=True)
class BoneScale:
    """How a bone's raw age and spread relate to what such bones are.

    Attributes:
        slope, offset: age = offset + slope x raw age, months.
        factor: spread = factor x raw spread.
        error: root mean square error of the age on the hands that this was measured on, months.
        hands: how many those were.
    """

    slope: float = 1.0
    offset: float = 0.0
    factor: float = 1.0
    error: float = 0.0
    hands: int = 0


def read_scales(path: Path) -> dict[str, BoneScale]:
    """Read a bundle's ``bones.json``.

    Raises:
        InputError: it holds something else.
    """

    def build(content: Any) -> dict[str, BoneScale]:
        scales = {str(name): _scale(**row) for name, row in content.items()}
        if not np.isfinite([[one.slope, one.offset, one.factor, one.error] for one in scales.values()]).all():
            raise ValueError("not a finite number")
        return scales

    return read_json(path, "a file of bones", build)


def _scale(slope: float, offset: float, factor: float, error: float, hands: int) -> BoneScale:
    return BoneScale(float(slope), float(offset), float(factor), float(error), int(hands))


def fit_scale(raw: ArrayLike, spreads: ArrayLike, ages: ArrayLike) -> BoneScale:
    """The scale of one bone, by least squares.

    Args:
        raw, spreads: (N,) raw ages and spreads of hands that no network learnt from, months.
        ages: their bone ages.
    """
    x, width, y = (np.asarray(values, np.float64) for values in (raw, spreads, ages))
    slope, offset = np.polyfit(x, y, 1)
    errors = offset + slope * x - y
    error, typical = (float(np.sqrt(np.mean(values**2))) for values in (errors, width))
    factor = error / max(typical, 1e-6)
    return BoneScale(round(float(slope), 4), round(float(offset), 4), round(factor, 4), round(error, 4), len(x))


def scales_text(scales: Mapping[str, BoneScale]) -> str:
    """The content of ``bones.json``."""
    return json.dumps({name: vars(scale) for name, scale in scales.items()}, indent=1) + "\n"


def read_bones(
    readers: Mapping[str, RegionReader],
    scales: Mapping[str, BoneScale],
    frame: HandFrame,
    boxes: Sequence[RegionBox],
    sex: Sex,
    known: Sequence[RegionReading] = (),
) -> tuple[BoneReading, ...]:
    """Every named bone's own age, in the order of ``BONES``; one call of a network a region, at the most.

    Args:
        readers: by region; those of ``epiphysis``, ``phalanx`` and ``carpal`` are used where they are there.
        scales: by bone, from :func:`read_scales`; a bone without one keeps its raw age.
        boxes: with names, see :func:`boneage_roi.detection.naming.name_boxes`. A bone of a digit of which fewer than
            two growth plates were found gets no age: nobody knows how it leans.
        known: what the regions say, which spares the network where a region is one bone.
    """
    found, grid, leans = {}, MONTHLY, leaning(boxes)
    whole = {reading.region: reading for reading in known}
    for region in REGIONS_OF_BONES:
        if region not in readers:
            continue
        kept, turns = crop_boxes(frame, boxes, region), upright_turns(frame, boxes, region)
        each = readers[region].each(frame, list(boxes), sex, turns, whole.get(region))
        for box, reading in zip(kept, each, strict=True):
            name, grid = bone_of(box), reading.grid
            if name in leans:
                raw = reading.expected_age, reading.spread
                found[name] = BoneReading(name, box, *raw, distribution=reading.distribution)
    return mark_far(scaled([found[name] for name in BONES if name in found], scales, grid))


def upright_turns(frame: HandFrame, boxes: Sequence[RegionBox], region: str) -> list[float]:
    """Degrees anticlockwise by which each of a region's crops is turned to be read alone, in the crops' order."""
    leans = leaning(boxes)
    return [leans.get(bone_of(box) or "", 0.0) for box in crop_boxes(frame, boxes, region)]


def leaning(boxes: Sequence[RegionBox]) -> dict[str, float]:
    """Degrees clockwise by which each bone's digit leans away from upright, of the bones of which it is known.

    A digit leads from its innermost growth plate that was found to its outermost. Bones of no digit do not lean.

    >>> plates = {"MCP1": (80, 120, 100, 140), "IP1": (110, 90, 130, 110)}
    >>> leans = leaning([RegionBox("epiphysis", box, 1.0, name) for name, box in plates.items()])
    >>> leans["MCP1"], leans["digit1"], leans["ulna"], "MCP2" in leans
    (45.0, 45.0, 0.0, False)
    """
    middles = {
        box.name: ((box.box[0] + box.box[2]) / 2, (box.box[1] + box.box[3]) / 2)
        for box in boxes
        if box.region == "epiphysis" and box.name
    }
    leans = {name: 0.0 for name in BONES if not name[-1].isdigit()}
    for digit in DIGITS:
        own = [plate for plate in GROWTH_PLATES if plate[-1] == digit[-1]]  # from the hand outwards
        found = [middles[plate] for plate in own if plate in middles]
        if len(found) > 1:
            (x, y), (tip_x, tip_y) = found[0], found[-1]
            leans |= dict.fromkeys((*own, digit), float(np.degrees(np.arctan2(tip_x - x, y - tip_y))))
    return leans


def bone_of(box: RegionBox) -> str | None:
    """The bone that a box holds, of ``BONES``; None where it cannot be told, or the box holds many.

    >>> bone_of(RegionBox("carpal", (0, 0, 9, 9), 1.0))
    'carpal'
    """
    if box.region not in REGIONS_OF_BONES:
        return None
    return box.region if box.region == "carpal" else box.name


def unread(boxes: Sequence[RegionBox], bones: Sequence[BoneReading]) -> tuple[str, ...]:
    """The bones that were found and have no age of their own, because alone they are too uncertain.

    Args:
        boxes: of an analysis.
        bones: of its bone age.
    """
    if not bones:  # the bundle reads no single bones
        return ()
    missing = {bone_of(box) for box in boxes} - {bone.name for bone in bones}
    return tuple(name for name in BONES if name in missing)


def scaled(
    bones: Sequence[BoneReading], scales: Mapping[str, BoneScale], grid: AgeGrid = MONTHLY
) -> tuple[BoneReading, ...]:
    """Raw readings after their scales; those of bones that are too far off are left out."""
    pairs = ((bone, scales.get(bone.name, BoneScale())) for bone in bones)
    return tuple(_scaled(bone, scale, grid) for bone, scale in pairs if scale.error <= LARGEST_ERROR)


def _scaled(bone: BoneReading, scale: BoneScale, grid: AgeGrid) -> BoneReading:
    months, distribution = max(scale.offset + scale.slope * bone.months, 0.0), bone.distribution
    if distribution is not None:  # the same shape around the new age, stretched as the spread is
        places = bone.months + (grid.months - months) / max(scale.factor, 1e-3)
        moved = np.interp(places, grid.months, distribution, left=0.0, right=0.0)
        distribution = np.asarray(moved / max(moved.sum(), 1e-9), np.float32)
    return replace(bone, months=months, spread=scale.factor * bone.spread, distribution=distribution)


def mark_far(bones: Sequence[BoneReading]) -> tuple[BoneReading, ...]:
    """The same bones, each marked whether it is far from the others of its kind.

    >>> box = RegionBox("epiphysis", (0, 0, 9, 9), 1.0)
    >>> ages = {"MCP2": 118, "MCP3": 121, "PIP2": 120, "PIP3": 119, "ulna": 60}
    >>> [bone.far for bone in mark_far([BoneReading(name, box, age, 12.0) for name, age in ages.items()])]
    [False, False, False, False, True]
    """
    marked = {bone.name: bone for bone in bones}
    for kind in (GROWTH_PLATES, DIGITS):
        own = [bone for bone in bones if bone.name in kind]
        if len(own) < FEWEST:
            continue
        away = np.array([bone.months for bone in own])
        away = np.abs(away - np.median(away))
        scatter = 1.4826 * float(np.median(away))
        for bone, distance in zip(own, away, strict=True):
            marked[bone.name] = replace(bone, far=bool(distance > FAR * max(scatter, bone.spread)))
    return tuple(marked.values())


def bones_between(girl: Sequence[BoneReading], boy: Sequence[BoneReading]) -> tuple[BoneReading, ...]:
    """Every bone's reading when the sex is unknown: each is as likely."""
    return mark_far(
        [
            replace(
                one,
                months=(one.months + other.months) / 2,
                distribution=_mean(one.distribution, other.distribution),
                spread=float(np.sqrt((one.spread**2 + other.spread**2) / 2 + (one.months - other.months) ** 2 / 4)),
            )
            for one, other in zip(girl, boy, strict=True)
        ]
    )


def _mean(one: FloatArray | None, other: FloatArray | None) -> FloatArray | None:
    return None if one is None or other is None else np.asarray((one + other) / 2, np.float32)
