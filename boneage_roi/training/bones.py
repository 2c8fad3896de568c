"""How each bone's own age is to be taken, measured on hands that no region network learnt from."""

from typing import Any

import pandas as pd

from boneage_roi.detection.naming import name_boxes
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.progress import Progress
from boneage_roi.regional_models.bones import BONES, REGIONS_OF_BONES, BoneScale, fit_scale, read_bones
from boneage_roi.runs.artefacts import FrameCache, read_boxes
from boneage_roi.runs.run import Run
from boneage_roi.training.artefacts import in_threads

MOST = 1000
"""So many ``fusion`` hands at the most are read, drawn at random."""

FEWEST = 30
"""A bone that was found on fewer of them has no line through its ages: it keeps its raw age."""


def measure_bones(run: Run, reader: BoneAgeReader, progress: Progress | None = None) -> dict[str, BoneScale]:
    """The content of a bundle's ``bones.json``, see :mod:`boneage_roi.regional_models.bones`.

    Args:
        run: with its frames and boxes.
        reader: of the bundle that was made of it; its own scales do not count.

    Returns:
        A scale a bone; none where the bundle reads no single bones.
    """
    readers = {region: reader.readers[region] for region in REGIONS_OF_BONES if region in reader.readers}
    if not readers:
        return {}
    frames, boxes, hands = FrameCache(run), read_boxes(run), run.manifest
    hands = hands[(hands.split == "fusion") & hands.id.astype(str).isin(list(boxes))]
    drawn = list(hands.sample(min(len(hands), MOST), random_state=run.config.seed).itertuples())

    def work(hand: Any) -> list[tuple[str, float, float, float]]:
        key = str(hand.id)
        bones = read_bones(readers, {}, frames[key], name_boxes(boxes[key]), hand.sex)
        return [(bone.name, bone.months, bone.spread, float(hand.boneage)) for bone in bones]

    rows = [row for found in in_threads(work, drawn, "single bones", progress) for row in found]
    table = pd.DataFrame(rows, columns=["bone", "months", "spread", "boneage"])
    known = {str(name): own for name, own in table.groupby("bone") if len(own) >= FEWEST}
    return {
        bone: fit_scale(known[bone].months, known[bone].spread, known[bone].boneage) for bone in BONES if bone in known
    }
