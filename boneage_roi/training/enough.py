"""What a prepared data set is too small for, told before anything is trained."""

import math

import pandas as pd

from boneage_roi.configs.finders import find_finder
from boneage_roi.runs.run import Run

LEAST_TRAIN = 8
"""Hands of the ``train`` split; fewer do not fill a batch."""

LEAST_FUSION = 10
"""Hands of the ``fusion`` split: of fewer no interval with a coverage of 90 % can be told."""


def shortcomings(run: Run) -> list[str]:
    """Why a prepared run cannot be trained: a line each, with the number that suffices; empty when it can."""
    hands, config = run.manifest, run.config
    counts = hands["split"].value_counts()
    needed = {"train": LEAST_TRAIN, "fusion": max(LEAST_FUSION, 2 * config.fusion.folds)}
    shares = {"train": 1 - config.split.fusion - config.split.test, "fusion": config.split.fusion}
    found = []
    for split, least in needed.items():
        if (count := int(counts.get(split, 0))) < least:
            suffice = math.ceil(1.3 * least / shares[split]) if shares[split] > 0 else 0
            hint = f"about {suffice} hands in all suffice when the splits are drawn" if suffice else "raise its share"
            found.append(
                f"{run.path}: {count} hands in the split `{split}`, and {least} are needed; {hint}, "
                f"or give {least - count} more hands this split in the table's `split` column"
            )
    return found + _annotations(run, hands)


def notes(run: Run) -> list[str]:
    """What a training of the run will lack, though it goes through."""
    if not (run.manifest["split"] == "test").any():
        return ["no hands in the split `test`: the bundle will say nothing of its accuracy"]
    return []


def _annotations(run: Run, hands: pd.DataFrame) -> list[str]:
    """What the segmenter and the detector need beside bone ages, unless a bundle gives them."""
    if run.config.start is not None:
        return []
    train, others = (set(hands["id"][where]) for where in (hands["split"] == "train", hands["split"] != "train"))
    wanted = [("hand outlines", "polygons.json"), ("key points", "keypoints.json")]
    found = []
    for what, name in wanted:
        drawn = set(run.annotated(name))
        for where, ids in (("in `train`", train), ("outside `train`", others)):
            if not ids & drawn:
                found.append(
                    f"{run.path}: no {what} of hands {where}, and the segmenter needs some; annotate a few dozen "
                    "(docs/reference/data.md), or take the preset `finetune`, which needs none"
                )
    if find_finder(run.config.finder_kind).annotated:
        boxes = run.annotated_boxes
        if not set(boxes["id"][boxes["source"] == "koitka2018"]) & train:
            found.append(
                f"{run.path}: no koitka2018 joint boxes of hands in `train`, and the detector needs some; "
                "see docs/reference/data.md, or take the preset `finetune`, which needs none"
            )
    return found
