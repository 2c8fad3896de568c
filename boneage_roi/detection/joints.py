"""Sixteen named growth plates and five fingertips of a hand, from annotations that were drawn in different ways.

Everything here is in frame pixels, so that hands are upright and of about one size. A hand is a (21, 2) array in the
order of ``POINTS``: the sixteen of ``GROWTH_PLATES``, then the tips; what is unknown is NaN.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.linear_model import Ridge

from boneage_roi.errors import InputError
from boneage_roi.regions import GROWTH_PLATES
from boneage_roi.runs.artefacts import CORNERS

POINTS = (*GROWTH_PLATES, *(f"tip{digit}" for digit in range(1, 6)))
FINGER_JOINTS = 14
WRIST = slice(14, 16)
TIPS = slice(16, 21)
KEYPOINTS = {
    **{f"MCP{digit}": index for digit, index in zip(range(1, 6), (2, 5, 9, 13, 17), strict=True)},
    **{f"PIP{digit}": index for digit, index in zip(range(2, 6), (6, 10, 14, 18), strict=True)},
    "IP1": 3,
    **{f"DIP{digit}": index for digit, index in zip(range(2, 6), (7, 11, 15, 19), strict=True)},
    **{f"tip{digit}": index for digit, index in zip(range(1, 6), (4, 8, 12, 16, 20), strict=True)},
}
"""Which of the 21 key points each named point is; radius and ulna have none."""

LABELS = {
    "koitka2018": {"MCP": "MCP", "PIP": "PIP IP", "DIP": "DIP", "Radius": "radius", "Ulna": "ulna"},
    "handbone-detect": {
        "ProximalPhalanx": "MCP",
        "MiddlePhalanx": "PIP",
        "DistalPhalanx": "DIP IP",
        "Radius": "radius",
        "Ulna": "ulna",
    },
    "kucukbayrak": {"ArticularSurface": "MCP PIP IP DIP"},
}
"""Which kinds of joint a source's label may mean. Labels that are not here name no growth plate."""

Hand = NDArray[np.float64]
Boxes = NDArray[np.float64]


def keypoint_hands(keypoints: dict[str, Hand]) -> dict[str, Hand]:
    """Key points (21, 2) in frame pixels, as hands; radius and ulna are NaN."""
    order = [KEYPOINTS.get(name, -1) for name in POINTS]
    return {key: np.where(np.array(order)[:, None] < 0, np.nan, points[order]) for key, points in keypoints.items()}


class JointNamer:
    """Gives nameless joint boxes their names by fitting exemplar hands to them.

    Exemplars are cluster centres of the key-point hands, each also mirrored. An exemplar is assigned to the boxes
    (Hungarian method), moved onto them by an affine map, and assigned again; the one that fits best names them.
    """

    def __init__(self, hands: dict[str, Hand], width: int, clusters: int = 12) -> None:
        fingers = np.stack([hand[:FINGER_JOINTS] for hand in hands.values()])
        to_the_right = fingers[:, 0, 0] > fingers[:, 4, 0]  # the thumb's side
        fingers[~to_the_right, :, 0] = width - 1 - fingers[~to_the_right, :, 0]
        centres = KMeans(min(clusters, len(fingers)), n_init=4, random_state=0).fit(fingers.reshape(len(fingers), -1))
        exemplars = centres.cluster_centers_.reshape(-1, FINGER_JOINTS, 2)
        mirrored = exemplars.copy()
        mirrored[..., 0] = width - 1 - mirrored[..., 0]
        self._exemplars = np.concatenate([exemplars, mirrored])
        self._kinds = [name.rstrip("12345") for name in POINTS[:FINGER_JOINTS]]

    def __call__(self, centres: Hand, kinds: list[str]) -> tuple[NDArray[np.intp], float]:
        """Name boxes by their centres (M, 2) and the kinds of joint that each may be.

        Returns:
            The box of each of the fourteen finger joints, and the mean distance in pixels between the fitted exemplar
            and the boxes (infinite when there are too few).
        """
        if len(centres) < FINGER_JOINTS:
            return np.zeros(0, np.intp), float("inf")
        wrong = np.array([[kind not in allowed.split() for allowed in kinds] for kind in self._kinds]) * 1e4
        best: tuple[NDArray[np.intp], float] = (np.zeros(0, np.intp), float("inf"))
        for exemplar in self._exemplars:
            placed = exemplar + np.median(centres, axis=0) - np.median(exemplar, axis=0)
            for _ in range(5):
                distances = np.hypot(*(placed[:, None] - centres[None]).transpose(2, 0, 1))
                _, columns = linear_sum_assignment(distances + wrong)
                design = np.column_stack([exemplar, np.ones(FINGER_JOINTS)])
                placed = design @ np.linalg.lstsq(design, centres[columns], rcond=None)[0]
            residual = float(
                np.hypot(*(placed - centres[columns]).T).mean() + wrong[range(FINGER_JOINTS), columns].sum()
            )
            if residual < best[1]:
                best = (columns, residual)
        return best


def name_boxes(namer: JointNamer, boxes: pd.DataFrame, source: str, tolerance: float) -> Boxes | None:
    """The boxes (16, 4) of one hand's growth plates from one source, or None when they do not look like a hand.

    Args:
        boxes: ``label, xmin, ymin, xmax, ymax`` in frame pixels. Radius and ulna stay NaN where the source lacks them.
        tolerance: the largest mean distance in pixels from the exemplar.
    """
    kinds = boxes["label"].map(LABELS[source])
    corners = boxes[CORNERS].to_numpy(float)
    finger = (kinds.notna() & ~kinds.isin(["radius", "ulna"])).to_numpy()
    if not finger.any():
        return None
    if source == "kucukbayrak":  # the carpal block is by far the largest component
        areas = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
        finger = finger & (areas < 3.5 * np.median(areas[finger]))
    centres = (corners[finger, :2] + corners[finger, 2:]) / 2
    columns, residual = namer(centres, kinds[finger].tolist())
    if residual > tolerance:
        return None
    named = np.full((len(GROWTH_PLATES), 4), np.nan)
    named[:FINGER_JOINTS] = corners[finger][columns]
    for row, bone in ((14, "radius"), (15, "ulna")):
        own = corners[(kinds == bone).to_numpy()]
        if len(own) == 1:
            named[row] = own[0]
    return named


def build_hands(
    boxes: pd.DataFrame, keypoints: dict[str, Hand], size: tuple[int, int], teachers: set[str]
) -> dict[str, Hand]:
    """One hand of 21 points for every annotated one, whatever source drew it.

    The key points say where a finger joint is; where in a source's box that lies is learnt, joint by joint, on hands
    that have both. koitka2018's boxes say where radius and ulna are. What a source lacks (tips, radius, ulna) is
    predicted from the finger joints by ridge regression on the hands that have it.

    Args:
        boxes: ``id, source, label, xmin, ymin, xmax, ymax`` in frame pixels.
        keypoints: by hand, (21, 2) in frame pixels.
        size: (height, width) of the frame.
        teachers: the hands that all this is learnt from: those of the ``train`` split.

    Raises:
        InputError: no hand to learn from has key points, or none has koitka2018's boxes.
    """
    width = size[1]
    if not teachers & keypoints.keys() or not teachers & set(boxes.id[boxes.source == "koitka2018"]):
        raise InputError(
            "detector labels need key points and koitka2018 joint boxes of some `train` hands; "
            "see docs/reference/data.md"
        )
    hands = {key: _thumb_right(hand, width) for key, hand in keypoint_hands(keypoints).items()}
    mirrored = {key for key, hand in keypoint_hands(keypoints).items() if hand[0, 0] < hand[4, 0]}
    namer = JointNamer({key: hand for key, hand in hands.items() if key in teachers}, width)
    drawn: dict[str, dict[str, Boxes]] = {}
    # In this order each source shares hands with the key points or with a source before it.
    for source in ("kucukbayrak", "handbone-detect", "koitka2018"):
        named = {}
        for key, rows in boxes[boxes.source == source].groupby("id"):
            found = name_boxes(namer, rows, source, tolerance=0.03 * size[0])
            if found is not None:
                if found[0, 0] < found[4, 0]:
                    mirrored.add(str(key))
                named[str(key)] = _thumb_right(found, width)
        drawn[source] = named
        for key, points in _from_boxes(named, hands, slice(0, FINGER_JOINTS), teachers).items():
            hands[key] = np.where(np.isnan(hands[key]), points, hands[key]) if key in hands else points
    _complete(hands, TIPS, teachers & keypoints.keys())
    for key, box in drawn["koitka2018"].items():
        hands[key][WRIST] = (box[WRIST, :2] + box[WRIST, 2:]) / 2
    _complete(hands, WRIST, teachers & drawn["koitka2018"].keys())
    # A predicted radius is right on average only; where the bone was drawn, its box says more.
    for key, points in _from_boxes(drawn["handbone-detect"], hands, WRIST, teachers).items():
        hands[key][WRIST] = np.where(np.isnan(points[WRIST]), hands[key][WRIST], points[WRIST])
    return {key: _flip(hand, width) if key in mirrored else hand for key, hand in hands.items()}


def _flip(points: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Mirror points (N, 2) or boxes (N, 4) left to right."""
    mirrored = points.copy()
    mirrored[:, 0::2] = width - 1 - points[:, 0::2][:, ::-1]
    return mirrored


def _thumb_right(points: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    return points if points[0, 0] > points[4, 0] else _flip(points, width)


def _from_boxes(named: dict[str, Boxes], hands: dict[str, Hand], rows: slice, teachers: set[str]) -> dict[str, Hand]:
    """Points from boxes: each lies where, in the boxes of teachers whose points are known, it lies in the median."""
    known = sorted(named.keys() & hands.keys() & teachers)
    found = {key: np.full((len(POINTS), 2), np.nan) for key in named}
    offsets = np.zeros((1, 2))
    if known:
        boxes = np.stack([named[key][rows] for key in known])
        centres = (boxes[..., :2] + boxes[..., 2:]) / 2
        shares = (np.stack([hands[key][rows] for key in known]) - centres) / (boxes[..., 2:] - boxes[..., :2])
        offsets = np.nanmedian(shares, axis=0)
    for key, box in named.items():
        side = box[rows, 2:] - box[rows, :2]
        found[key][rows] = box[rows, :2] + (0.5 + offsets) * side
    return found


def _complete(hands: dict[str, Hand], rows: slice, teachers: set[str]) -> None:
    """Predict unknown points from the finger joints, as the hands of ``teachers`` have them."""
    known = [hands[key] for key in sorted(teachers) if not np.isnan(hands[key][rows]).any()]
    joints = np.stack([hand[:FINGER_JOINTS].ravel() for hand in known])
    model = Ridge(100.0).fit(joints, np.stack([hand[rows].ravel() for hand in known]))
    for hand in hands.values():
        if np.isnan(hand[rows]).any():
            predicted = model.predict(hand[:FINGER_JOINTS].reshape(1, -1)).reshape(-1, 2)
            hand[rows] = np.where(np.isnan(hand[rows]), predicted, hand[rows])
