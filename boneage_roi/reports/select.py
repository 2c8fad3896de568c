"""Which radiographs to have read next: doubtful ones, those whose regions disagree, and those unlike the others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from boneage_roi.errors import InputError
from boneage_roi.outputs.csv import frame_csv
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.pipeline.batch import Outcome, predict_files
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.inputs import input_files, list_inputs
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.progress import Progress, tracked
from boneage_roi.quality.measures import disagreement
from boneage_roi.values import BoneAge

WEIGHTS = (1.0, 1.0, 1.0)
"""Of doubt, disagreement and distance, when one image is chosen."""


@dataclass(frozen=True, eq=False)
class Selection:
    """What to have read.

    Attributes:
        chosen: a row an image in the order in which they were chosen: ``rank`` from 1, ``path``, ``bone_age_months``,
            ``doubt`` (half width of the interval, months), ``disagreement`` (standard deviation of the regions' ages,
            months), ``distance`` (from the nearest image chosen before, in standard deviations of the feature space).
        failed: ``path`` and ``message`` of images without an age: look at them first.
        images: how many there were.
    """

    chosen: pd.DataFrame
    failed: pd.DataFrame
    images: int


def select(
    inputs: str | Path | Iterable[str | Path],
    count: int = 100,
    *,
    bundle: Bundle | str | Path | None = None,
    output: str | Path | None = None,
    tta: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Selection:
    """Choose the images whose true bone ages would teach most.

    Args:
        inputs: images without a bone age: an image, a folder, a manifest CSV, or several of them.
        count: how many to choose.
        bundle: a bundle or its folder; None is the shipped one.
        output: a CSV file of the chosen; None writes nothing.
        tta: test-time augmentation.
        overwrite: write over a file that this did not make; never over inputs.
        progress: is told how many images are done.

    Raises:
        InputError: there is no image, none gets an age, or the file would replace another's.

    Example::

        next_ones = select("unlabelled/", 100)
        next_ones.chosen["path"]
    """
    if count < 1:
        raise InputError(f"count {count}: choose one image at least")
    inputs = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    items = list_inputs(inputs)
    outputs = OutputFiles("select", input_files(inputs, items), overwrite=overwrite)
    if output is not None:
        outputs.claim(Path(output))
    reader = BoneAgeReader(bundle, tta=tta)
    read: list[Outcome] = []
    failed = []
    for outcome in tracked(predict_files(reader, items), "images", len(items), progress):
        if outcome.bone_age is None:
            failed.append({"path": outcome.item.path, "message": outcome.message})
        else:
            read.append(outcome)
    if not read:
        raise InputError(f"none of {len(items)} images gets a bone age; the first: {failed[0]['message']}")
    ages = [outcome.bone_age for outcome in read if outcome.bone_age is not None]
    doubt = np.array([(age.upper - age.lower) / 2 for age in ages])
    apart = np.array([disagreement(age.readings) for age in ages])
    order, distances = choose(doubt, apart, _vectors(ages, reader.regions), count)
    chosen = pd.DataFrame(
        {
            "rank": np.arange(1, len(order) + 1),
            "path": [read[row].item.path for row in order],
            "bone_age_months": [round(ages[row].months, 2) for row in order],
            "doubt": doubt[order].round(2),
            "disagreement": apart[order].round(2),
            "distance": np.round(distances, 3),
        }
    )
    if output is not None:
        outputs.write(Path(output), frame_csv(chosen))
    return Selection(chosen, pd.DataFrame(failed, columns=["path", "message"]), len(items))


def choose(
    doubt: ArrayLike,
    apart: ArrayLike,
    vectors: ArrayLike,
    count: int,
    *,
    known: ArrayLike | None = None,
    weights: Sequence[float] = WEIGHTS,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Choose one after the other what is doubtful, disagreed on, and far from all that is chosen or known.

    Each of the three is taken as a rank among the images, 0 to 1, so that their units do not matter. The distance is
    the Euclidean one to the nearest image chosen or known, in the standardised feature space (k-centre greedy, Sener &
    Savarese, ICLR 2018).

    Args:
        doubt, apart: (N,) of the images.
        vectors: (N, D), their features.
        count: how many to choose, N at the most.
        known: (K, D), features of images whose ages are known.
        weights: of the three.

    Returns:
        The rows chosen, in order, and the distance of each when it was chosen (0 for the first when nothing is known).

    >>> rows, _ = choose([1, 9, 1, 1], [0, 5, 0, 0], [[0.0], [0.1], [0.0], [8.0]], 2)
    >>> rows.tolist()
    [1, 3]
    """
    features = np.asarray(vectors, np.float64)
    middle, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale < 1e-9] = 1.0
    features = (features - middle) / scale
    static = weights[0] * _ranks(np.asarray(doubt, float)) + weights[1] * _ranks(np.asarray(apart, float))
    nearest = np.full(len(features), np.inf)
    for other in () if known is None else (np.asarray(known, np.float64) - middle) / scale:
        nearest = np.minimum(nearest, np.linalg.norm(features - other, axis=1))
    left = np.ones(len(features), bool)
    rows, distances = [], []
    for _ in range(min(count, len(features))):
        far = np.zeros(len(features)) if np.isinf(nearest).all() else _ranks(nearest)
        row = int(np.where(left, static + weights[2] * far, -np.inf).argmax())
        rows.append(row)
        distances.append(0.0 if np.isinf(nearest[row]) else float(nearest[row]))
        left[row] = False
        nearest = np.minimum(nearest, np.linalg.norm(features - features[row], axis=1))
    return np.array(rows, np.intp), np.array(distances)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks of values from 0 to 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middles = ends - (counts + 1) / 2
    return np.asarray(middles[place] / max(len(values) - 1, 1))


def _vectors(ages: Sequence[BoneAge], regions: Sequence[str]) -> NDArray[np.float64]:
    """The regions' features side by side (N, D); those of a region that was not found are the mean of the others'."""
    parts = []
    for region in regions:
        found = [None if (one := age.regions.get(region)) is None else one.features for age in ages]
        there = [features for features in found if features is not None]
        if there:
            mean = np.mean(there, axis=0)
            parts.append(np.stack([mean if features is None else features for features in found]))
    return np.concatenate(parts, axis=1).astype(np.float64)
