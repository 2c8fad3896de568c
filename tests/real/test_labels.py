"""The detector's labels, built from the published annotations of the tiny run's hands."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from boneage_roi.detection.joints import (
    FINGER_JOINTS,
    POINTS,
    JointNamer,
    _from_boxes,
    _thumb_right,
    keypoint_hands,
    name_boxes,
)
from boneage_roi.detection.labels import ROW, annotated_hands, build_labels, place
from boneage_roi.regions import REGIONS
from boneage_roi.runs.artefacts import CORNERS, FrameCache
from boneage_roi.runs.run import Run

AGREEMENT = 0.01
"""Two sources put a joint at most this share of the frame's height apart, in the median: five pixels."""

FAR = 0.04
"""So far apart are the same joint's places hardly ever: the next joint is about 0.1 away."""

Hands = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def hands(segmented_run: Run) -> Hands:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return annotated_hands(segmented_run, FrameCache(segmented_run))[0]


@pytest.fixture(scope="module")
def boxes(segmented_run: Run) -> pd.DataFrame:
    """The published boxes in frame pixels."""
    frames = FrameCache(segmented_run)
    drawn = pd.read_csv(segmented_run.path / "annotations" / "boxes.csv", dtype={"id": str})
    return pd.concat([place(rows, frames.from_shares(str(key))) for key, rows in drawn.groupby("id")])


@pytest.fixture(scope="module")
def keypoints(segmented_run: Run) -> Hands:
    frames = FrameCache(segmented_run)
    drawn = json.loads((segmented_run.path / "annotations" / "keypoints.json").read_text())
    placed = {}
    for key, entry in drawn.items():
        matrix = frames.from_shares(key)
        placed[key] = np.asarray(entry["keypoints"])[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return keypoint_hands(placed)


def test_nearly_every_annotated_hand_is_used(segmented_run: Run, hands: Hands) -> None:
    assert len(hands) >= 0.9 * len(segmented_run.manifest)


def test_every_hand_gets_its_regions_inside_the_frame(segmented_run: Run, hands: Hands) -> None:
    labels = build_labels(segmented_run)
    counts = labels.groupby(["id", "region"]).size().unstack(fill_value=0)
    assert set(counts.index) == set(hands)
    for region in REGIONS:
        if region != "hand":
            assert (counts[region] == REGIONS[region].max_crops).mean() >= 0.95, region
    height, width = segmented_run.config.frame_size
    assert (labels[["xmin", "ymin"]] >= 0).all(axis=None)
    assert (labels.xmax <= width).all()
    assert (labels.ymax <= height).all()


def test_joints_lie_in_the_experts_boxes(hands: Hands, boxes: pd.DataFrame) -> None:
    experts = boxes[boxes.source == "koitka2018"]
    kinds = {"MCP": "MCP", "PIP": "PIP", "IP": "PIP", "DIP": "DIP", "radius": "Radius", "ulna": "Ulna"}
    inside = []
    for key, rows in experts.groupby("id"):
        for name in POINTS[:16] if str(key) in hands else ():
            point = hands[str(key)][ROW[name]]
            corners = rows.loc[rows.label == kinds[name.rstrip("12345")], CORNERS].to_numpy()
            inside.append(((corners[:, :2] <= point) & (point <= corners[:, 2:])).all(axis=1).any())
    assert len(inside) > 16 * 15
    assert np.mean(inside) >= 0.98


@pytest.fixture(scope="module")
def by_source(segmented_run: Run, hands: Hands, boxes: pd.DataFrame, keypoints: Hands) -> dict[str, Hands]:
    """The finger joints that each source alone gives, thumb to the right, by hand."""
    height, width = segmented_run.config.frame_size
    right = {key: _thumb_right(hand, width) for key, hand in hands.items()}
    teachers = set(segmented_run.manifest.query("split == 'train'").id)
    namer = JointNamer(keypoints, width)
    found = {"keypoints": {key: _thumb_right(hand, width) for key, hand in keypoints.items()}}
    for source, rows in boxes.groupby("source"):
        named = {str(key): name_boxes(namer, own, str(source), 0.03 * height) for key, own in rows.groupby("id")}
        turned = {key: _thumb_right(own, width) for key, own in named.items() if own is not None}
        found[str(source)] = _from_boxes(turned, right, slice(0, FINGER_JOINTS), teachers)
    return {name: {key: hand[:FINGER_JOINTS] for key, hand in own.items()} for name, own in found.items()}


@pytest.mark.parametrize(
    ("source", "other"),
    [
        ("kucukbayrak", "handbone-detect"),
        ("kucukbayrak", "koitka2018"),
        ("kucukbayrak", "keypoints"),
        ("handbone-detect", "keypoints"),
    ],
)
def test_sources_agree_on_the_hands_that_they_share(
    segmented_run: Run, by_source: dict[str, Hands], source: str, other: str
) -> None:
    one, two = by_source[source], by_source[other]
    shared = sorted(one.keys() & two.keys())
    assert len(shared) >= 8
    apart = np.array([np.hypot(*(one[key] - two[key]).T) for key in shared]) / segmented_run.config.frame_size[0]
    assert np.median(apart) < AGREEMENT
    assert np.quantile(apart, 0.98) < FAR


def test_the_thumb_is_on_the_outer_side(hands: Hands) -> None:
    for key, hand in hands.items():
        outward = np.sign(hand[ROW["MCP2"], 0] - hand[ROW["MCP5"], 0])
        across = outward * hand[:, 0]
        assert across[ROW["IP1"]] > across[ROW["MCP2"]] > across[ROW["MCP3"]] > across[ROW["MCP5"]], key
        assert across[ROW["radius"]] > across[ROW["ulna"]], key


def test_fingers_point_up(hands: Hands) -> None:
    for key, hand in hands.items():
        for digit in range(2, 6):
            rows = [hand[ROW[f"{name}{digit}"], 1] for name in ("tip", "DIP", "PIP", "MCP")]
            assert rows == sorted(rows), (key, digit)
        assert hand[ROW["MCP3"], 1] < hand[ROW["radius"], 1], key


def test_corners_are_in_order(segmented_run: Run) -> None:
    labels = build_labels(segmented_run)[CORNERS].to_numpy()
    assert (labels[:, 2:] - labels[:, :2] > 4).all()
