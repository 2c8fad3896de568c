"""The detector's labels: the five regions of a hand as boxes, from its joints, by one definition for every source."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from boneage_roi.detection.joints import POINTS, Hand, build_hands
from boneage_roi.regions import GROWTH_PLATES, detected, find_region
from boneage_roi.runs.artefacts import CORNERS, FrameCache
from boneage_roi.runs.run import Run

PLATE_SIDE = {"MCP": 0.30, "PIP": 0.25, "IP": 0.25, "DIP": 0.21, "radius": 0.42, "ulna": 0.32}
"""Side of a growth plate's square, as a share of the distance from the wrist to the middle MCP joint."""

ROW = {name: index for index, name in enumerate(POINTS)}


def build_labels(run: Run) -> pd.DataFrame:
    """Region boxes of every annotated hand of a run, in frame pixels.

    Returns:
        ``id, region, xmin, ymin, xmax, ymax``, clipped to the frame.
    """
    frames, size = FrameCache(run), run.config.frame_size
    regions = detected(run.config.regions)
    hands, wrists = annotated_hands(run, frames)
    teachers = _teachers(run)
    carpal = carpal_model(hands, {key: box for key, box in wrists.items() if key in teachers})
    rows = []
    for key, hand in hands.items():
        for region, boxes in region_boxes(hand, carpal.predict(hand[:16].reshape(1, -1))[0], regions).items():
            rows += [(key, region, *box) for box in boxes]
    labels = pd.DataFrame(rows, columns=["id", "region", *CORNERS])
    labels[["xmin", "xmax"]] = labels[["xmin", "xmax"]].clip(0, size[1])
    labels[["ymin", "ymax"]] = labels[["ymin", "ymax"]].clip(0, size[0])
    return labels[(labels.xmax - labels.xmin > 4) & (labels.ymax - labels.ymin > 4)].reset_index(drop=True)


def annotated_hands(run: Run, frames: FrameCache) -> tuple[dict[str, Hand], dict[str, NDArray[np.float64]]]:
    """Named joints of every annotated hand, and koitka2018's wrist boxes (4,), in frame pixels."""
    boxes, keypoints = run.annotated_boxes, run.annotated("keypoints.json")
    maps = {key: frames.from_shares(key) for key in {*boxes.id, *keypoints} if key in frames}
    boxes = boxes[boxes.id.isin(maps.keys())]
    placed = pd.concat([place(rows, maps[str(key)]) for key, rows in boxes.groupby("id")])
    points = {
        key: _map(np.asarray(entry["keypoints"], float)[:, :2], maps[key])
        for key, entry in keypoints.items()
        if key in maps
    }
    wrist = placed[placed.label == "Wrist"]
    hands = build_hands(placed, points, run.config.frame_size, _teachers(run))
    return hands, dict(zip(wrist.id, wrist[CORNERS].to_numpy(), strict=True))


def _teachers(run: Run) -> set[str]:
    """What is learnt from annotations is learnt on these hands only."""
    hands = run.manifest
    return set(hands.id[hands.split == "train"])


def _map(points: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def place(rows: pd.DataFrame, matrix: NDArray[np.float64]) -> pd.DataFrame:
    """Boxes in frame pixels. A turned box keeps its sides: the hull of its corners would grow."""
    corners = rows[CORNERS].to_numpy(float)
    centres = _map((corners[:, :2] + corners[:, 2:]) / 2, matrix)
    half = (corners[:, 2:] - corners[:, :2]) * np.hypot(*matrix[:, :2]) / 2
    return rows.assign(**dict(zip(CORNERS, np.hstack([centres - half, centres + half]).T, strict=True)))


def carpal_model(hands: dict[str, Hand], wrists: dict[str, NDArray[np.float64]]) -> Ridge:
    """Predicts the carpal block's box (4,) from the sixteen growth plates, taught by koitka2018's wrist boxes."""
    keys = sorted(hands.keys() & wrists.keys())
    joints = np.stack([hands[key][:16].ravel() for key in keys])
    return Ridge(100.0).fit(joints, np.stack([wrists[key] for key in keys]))


def region_boxes(
    hand: Hand, carpal: NDArray[np.float64], regions: Sequence[str]
) -> dict[str, list[NDArray[np.float64]]]:
    """The boxes of regions on a hand, from its 21 points (21, 2) and its carpal box (4,)."""
    wrist = hand[[ROW["radius"], ROW["ulna"]]].mean(axis=0)
    length = float(np.hypot(*(hand[ROW["MCP3"]] - wrist)))
    squares = {name: _square(hand[ROW[name]], PLATE_SIDE[name.rstrip("12345")] * length) for name in GROWTH_PLATES}
    lower = carpal * [1, 1, 1, 0] + [0, 0, 0, carpal[1] + 0.45 * (carpal[3] - carpal[1])]
    parts = squares | {"carpal": carpal, "metacarpal-bases": lower}
    boxes: dict[str, list[NDArray[np.float64]]] = {}
    for region in map(find_region, regions):
        if region.around is None:
            boxes[region.name] = [_hull(np.array([parts[name] for name in names])) for names in region.boxes]
        else:
            around = 2 * region.around * length
            spans = [[_square(hand[ROW[name]], around) for name in names] for names in region.boxes]
            boxes[region.name] = [_hull(np.array(span)) for span in spans]
    return boxes


def _square(middle: NDArray[np.float64], side: float) -> NDArray[np.float64]:
    return np.concatenate([middle - side / 2, middle + side / 2])


def _hull(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
