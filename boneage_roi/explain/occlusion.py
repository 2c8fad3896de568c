"""Occlusion: how the fused age moves when a patch of the hand is greyed (Zeiler and Fergus, ECCV 2014)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np

from boneage_roi.explain.explanation import Explanation
from boneage_roi.explain.places import hand_in_frame
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.regional_models.crops import Crops
from boneage_roi.values import Analysis, BoneAge, BoolImage, FloatArray, HandFrame, RegionReading, Sex

PATCH = 44
"""Side of a patch in pixels of a frame of 512 pixels height: about a growth plate with its surroundings."""

STEP = 32
"""Pixels between patches, likewise; they overlap, and each place gets the mean of the patches that cover it."""

SOFT = 5.0
"""Standard deviation of a patch's edge, pixels: a hard edge would be a sight of its own."""

BATCH = 8
"""Hands that go through a network at once."""


def occlusion(reader: BoneAgeReader, analysis: Analysis, bone_age: BoneAge, sex: Sex) -> Explanation:
    """The map ``move``: months by which the fused age moves when the place is hidden; NaN outside the hand.

    Boxes stay where they are, so that the map is of the reading and not of the finding. Each region is read in one
    view, and only where a patch lies in one of its crops.
    """
    hand = hand_in_frame(analysis)
    patches = list(_patches(hand))
    total, weight = np.zeros(hand.shape, np.float32), np.zeros(hand.shape, np.float32)
    for patch, move in zip(patches, moves(reader, analysis, patches, sex), strict=True):
        total += np.float32(move) * patch
        weight += patch
    mean = np.where(hand & (weight > 0.05), total / np.maximum(weight, 0.05), np.nan).astype(np.float32)
    return Explanation("occlusion", analysis, bone_age, {"move": mean}, "months", signed=True)


def moves(reader: BoneAgeReader, analysis: Analysis, patches: Sequence[FloatArray], sex: Sex) -> FloatArray:
    """Months (N,) by which the fused age moves with each patch greyed; a patch is (H, W) of the frame, 0..1."""
    hand = hand_in_frame(analysis)
    ages = _ages(reader, analysis, [_greyed(analysis.frame, hand, patch) for patch in patches], sex)
    return np.asarray(ages[1:] - ages[0], np.float32)


def _patches(hand: BoolImage) -> Iterator[FloatArray]:
    """Soft squares 0..1 (H, W) that lie on the hand for an eighth of their area at least."""
    height, width = hand.shape
    side, step = round(PATCH * height / 512), round(STEP * height / 512)
    for top in range(-side // 2, height - side // 2, step):
        for left in range(-side // 2, width - side // 2, step):
            place = np.s_[max(top, 0) : top + side, max(left, 0) : left + side]
            if hand[place].sum() > side * side / 8:
                square = np.zeros(hand.shape, np.float32)
                square[place] = 1
                yield np.asarray(cv2.GaussianBlur(square, (0, 0), SOFT * height / 512), np.float32)


def _greyed(frame: HandFrame, hand: BoolImage, patch: FloatArray) -> HandFrame:
    """A frame with the hand's median grey on a patch."""
    grey = np.float32(np.median(frame.pixels[hand]))
    mixed = frame.pixels * (1 - patch) + grey * patch
    return replace(frame, pixels=np.asarray(mixed.round(), np.uint8))


def _ages(reader: BoneAgeReader, analysis: Analysis, frames: list[HandFrame], sex: Sex) -> FloatArray:
    """Fused ages (1 + N,): of the frame as it is, then of each other frame."""
    boxes = list(analysis.boxes)
    columns: list[list[RegionReading]] = []
    for network in reader.readers.values():
        base = network.crops(analysis.frame, boxes)
        if base is None:
            continue
        cuts = [network.crops(frame, boxes) for frame in frames]
        changed = [crops for crops in cuts if crops is not None and not np.array_equal(crops.pixels, base.pixels)]
        readings = iter(_read(reader, base.confidence, network.region, [base, *changed], sex))
        first = next(readings)
        column = [first]
        for crops in cuts:
            same = crops is None or np.array_equal(crops.pixels, base.pixels)
            column.append(first if same else next(readings))
        columns.append(column)
    return np.array([reader.fuse(hand, sex)[0] for hand in zip(*columns, strict=True)], np.float32)


def _read(
    reader: BoneAgeReader, confidence: float, region: str, hands: list[Crops], sex: Sex
) -> Iterator[RegionReading]:
    network = reader.readers[region]
    for start in range(0, len(hands), BATCH):
        distributions, features = network.run(hands[start : start + BATCH], sex)
        for distribution, vector in zip(distributions, features, strict=True):
            yield network.reading(distribution, vector, len(hands[0].pixels), confidence)
