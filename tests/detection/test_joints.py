"""Naming joint boxes, on drawn hands whose names are known."""

import warnings

import numpy as np
import pandas as pd
import pytest

from boneage_roi.detection.joints import (
    FINGER_JOINTS,
    POINTS,
    JointNamer,
    build_hands,
    keypoint_hands,
    name_boxes,
)
from boneage_roi.regions import GROWTH_PLATES
from boneage_roi.runs.artefacts import CORNERS

WIDTH, HEIGHT = 416, 512
TOLERANCE = 0.03 * HEIGHT
# MCP, PIP (thumb: IP), DIP, tip of each digit, thumb on the right, as published key points count them.
DIGITS = [
    [(285, 330), (318, 283), (345, 245)],
    [(248, 265), (266, 195), (275, 152), (282, 120)],
    [(215, 255), (219, 175), (221, 125), (222, 92)],
    [(182, 265), (175, 190), (170, 142), (167, 110)],
    [(150, 285), (132, 230), (122, 195), (115, 165)],
]
RADIUS, ULNA = (235, 430), (190, 425)
LABEL = {"MCP": "ProximalPhalanx", "PIP": "MiddlePhalanx", "DIP": "DistalPhalanx", "IP": "DistalPhalanx"}


def random_keypoints(random: np.random.Generator) -> np.ndarray:
    """21 key points of a hand, a little turned, stretched and disturbed; mirrored half of the time."""
    thumb, *fingers = DIGITS
    points = np.array([(215, 420), (262, 385), *thumb, *(joint for finger in fingers for joint in finger)], float)
    middle = np.array([WIDTH / 2, HEIGHT / 2])
    angle = random.uniform(-0.1, 0.1)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * random.uniform(0.92, 1.05)
    points = (points - middle) @ turn.T * random.uniform(0.95, 1.05, 2) + middle + random.normal(0, 2, points.shape)
    if random.random() < 0.5:
        points[:, 0] = WIDTH - 1 - points[:, 0]
    return np.asarray(points)


@pytest.fixture(scope="module")
def keypoints() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {f"known{number}": random_keypoints(random) for number in range(40)}


@pytest.fixture(scope="module")
def namer(keypoints: dict[str, np.ndarray]) -> JointNamer:
    return JointNamer(keypoint_hands(keypoints), WIDTH)


def new_hand(seed: int, mirrored: bool) -> np.ndarray:
    """The fourteen finger joints of a hand that the namer has not seen."""
    joints = keypoint_hands({"new": random_keypoints(np.random.default_rng(100 + seed))})["new"][:FINGER_JOINTS]
    if (joints[0, 0] < joints[4, 0]) != mirrored:
        joints[:, 0] = WIDTH - 1 - joints[:, 0]
    return joints


def boxes_on(points: np.ndarray, labels: list[str], side: float = 26) -> pd.DataFrame:
    return pd.DataFrame(np.hstack([points - side / 2, points + side / 2]), columns=CORNERS).assign(label=labels)


def shuffled(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    return table.sample(frac=1, random_state=seed).reset_index(drop=True)


def with_carpals(joints: np.ndarray) -> pd.DataFrame:
    """As kucukbayrak draws a hand: every component has one name, and the carpal block is one of them."""
    wrist = np.array([[joints[:, 0].mean(), joints[:, 1].max() + 60]])
    return pd.concat(
        [
            boxes_on(joints, ["ArticularSurface"] * len(joints)),
            boxes_on(wrist, ["ArticularSurface"], side=100),
            boxes_on(wrist + np.array([20, 40]), ["Epiphysis"]),
        ]
    )


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_nameless_boxes_get_their_names(namer: JointNamer, seed: int, mirrored: bool) -> None:
    joints = new_hand(seed, mirrored)
    named = name_boxes(namer, shuffled(with_carpals(joints), seed), "kucukbayrak", TOLERANCE)
    assert named is not None
    np.testing.assert_allclose((named[:FINGER_JOINTS, :2] + named[:FINGER_JOINTS, 2:]) / 2, joints)
    assert np.isnan(named[FINGER_JOINTS:]).all()


@pytest.mark.parametrize("mirrored", [False, True])
def test_labels_that_name_the_kind_are_kept_to(namer: JointNamer, mirrored: bool) -> None:
    joints = new_hand(7, mirrored)
    labels = [LABEL[name.rstrip("12345")] for name in POINTS[:FINGER_JOINTS]]
    bones = boxes_on(np.array([(200.0, 430.0), (250.0, 430.0)]), ["Radius", "Ulna"], side=40)
    table = shuffled(pd.concat([boxes_on(joints, labels), bones]), 1)
    named = name_boxes(namer, table, "handbone-detect", TOLERANCE)
    assert named is not None
    centres = (named[:, :2] + named[:, 2:]) / 2
    np.testing.assert_allclose(centres, [*joints, (200, 430), (250, 430)])


def test_a_hand_with_two_joints_in_one_box_is_refused(namer: JointNamer) -> None:
    joints = new_hand(3, mirrored=False)
    merged = np.vstack([joints[:1], joints[1:3].mean(axis=0, keepdims=True), joints[3:]])
    assert name_boxes(namer, with_carpals(merged), "kucukbayrak", TOLERANCE) is None


def test_boxes_that_are_no_hand_are_refused(namer: JointNamer) -> None:
    scattered = np.random.default_rng(5).uniform(20, 400, (16, 2))
    assert name_boxes(namer, boxes_on(scattered, ["ArticularSurface"] * 16), "kucukbayrak", TOLERANCE) is None


def test_a_hand_without_finger_boxes_is_refused_quietly(namer: JointNamer) -> None:
    bones = boxes_on(np.array([(200.0, 430.0)]), ["Radius"])
    carpals = boxes_on(np.array([(200.0, 380.0)]), ["Epiphysis"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert name_boxes(namer, bones, "handbone-detect", TOLERANCE) is None
        assert name_boxes(namer, carpals, "kucukbayrak", TOLERANCE) is None


def test_every_source_gives_the_same_hand(keypoints: dict[str, np.ndarray]) -> None:
    """Boxes that lie off the joint in each source's own way, and hands that only one source drew."""
    shift = {"kucukbayrak": 4.0, "handbone-detect": -6.0, "koitka2018": 3.0}
    kinds = [name.rstrip("12345") for name in POINTS[:FINGER_JOINTS]]
    labels = {
        "kucukbayrak": ["ArticularSurface"] * FINGER_JOINTS,
        "handbone-detect": [LABEL[kind] for kind in kinds],
        "koitka2018": ["PIP" if kind == "IP" else kind for kind in kinds],
    }
    truth = {key: hand[:FINGER_JOINTS] for key, hand in keypoint_hands(keypoints).items()}
    truth |= {source: new_hand(11 + number, mirrored=number == 1) for number, source in enumerate(shift)}
    drawn = []
    for number, (key, joints) in enumerate(truth.items()):
        sources = [key] if key in shift else [["kucukbayrak", "handbone-detect"], list(shift)][number % 2]
        for source in sources:
            rows = boxes_on(joints + np.array([0, shift[source]]), labels[source])
            if source != "kucukbayrak":
                side = 1 if joints[0, 0] > joints[4, 0] else -1
                wrist = joints.mean(axis=0) + np.array([0, 190 + shift[source]])
                bones = wrist + np.array([[22.0 * side, 0], [-22.0 * side, 0]])
                rows = pd.concat([rows, boxes_on(bones, ["Radius", "Ulna"], side=40)])
            drawn.append(shuffled(rows, number).assign(id=key, source=source))
    hands = build_hands(pd.concat(drawn, ignore_index=True), keypoints, (HEIGHT, WIDTH), set(truth))
    assert hands.keys() == truth.keys()
    for key, joints in truth.items():
        assert not np.isnan(hands[key]).any()
        np.testing.assert_allclose(hands[key][:FINGER_JOINTS], joints, atol=1.0, err_msg=key)
        radius, ulna = hands[key][len(GROWTH_PLATES) - 2 : len(GROWTH_PLATES)]
        assert (radius[0] > ulna[0]) == (joints[0, 0] > joints[4, 0])
