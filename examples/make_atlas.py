"""Make the atlas: mean hands of both sexes at every half year, each the registered average of 25 hands or more.

    python examples/make_atlas.py runs/default --output boneage_roi/growth/data/atlas

takes the frames of a run's ``train`` and ``fusion`` hands, and leaves out ages with too few. It differs from
``make_examples.py``, which needs hand-placed key points, in where the landmarks come from: here they are the growth
plates and finger tips that the detector finds and :mod:`boneage_roi.detection.naming` names.

1. Of the hands of one sex within ``WIDEST_BAND`` of an age the nearest are taken, sharper images first among equals.
2. A thin-plate spline lays each hand onto the group's mean shape, which keeps the median place and size of the hand
   frame, so that a standard and a child's frame can be laid side by side.
3. Rounds of smoothed optical flow between each hand and the mean, without their common part, sharpen the mean.
4. The hands that fit worst are left out, the others averaged with equal weights; the background is blank.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from hand_atlas import Array, Image, apply, similarity
from scipy.interpolate import RBFInterpolator

from boneage_roi.detection.naming import name_boxes
from boneage_roi.detection.runtime import Detector
from boneage_roi.regions import GROWTH_PLATES, detected
from boneage_roi.runs.run import Run
from boneage_roi.values import HandFrame

AGES = [6 * half for half in range(2, 37)]
"""Months: every half year from 1 to 18 years."""
FEWEST_HANDS = 25
MOST_HANDS = 28
CANDIDATES = 34
WIDEST_BAND = 6
"""Months that a hand's bone age may be away from the age."""

FINGERS = tuple((f"MCP{d}", f"PIP{d}", f"DIP{d}") if d > 1 else ("MCP1", "IP1") for d in range(1, 6))
POINTS = (*GROWTH_PLATES, *(f"tip{digit}" for digit in range(1, 6)))
ROW = {name: row for row, name in enumerate(POINTS)}

FLOW_SMOOTHING = (10, 6, 4, 3)
"""Standard deviation, in pixels, of the smoothing of each round of optical flow."""
LONGEST_FLOW = 8
SHARPENING = ((1.3, 0.9), (14.0, 0.7))
"""Standard deviation in pixels and amount of each unsharp mask."""
GAMMA = 0.95
QUALITY = 95
"""Of the WebP files."""


@dataclass
class Hand:
    """A hand of a group: its frame with the thumb on the right, and its landmarks (21, 2)."""

    id: str
    age: float
    image: Image
    points: Array


def main() -> None:
    """Make every standard and ``atlas.json``, which lists them and the ages that are missing."""
    parser = argparse.ArgumentParser(description="Make the atlas of mean hands.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="Only these, such as F-120 (months).")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    run = Run(arguments.run)
    hands = run.manifest
    hands = hands[hands["split"] != "test"]
    frames = np.load(frames_file(run), mmap_mode="r")
    detector = Detector(run.path / "detector" / "detector.onnx", detected(run.config.regions), threads=1)
    sharper = Path(hands["path"].iloc[0]).parent.parent / "images-hires"
    arguments.output.mkdir(parents=True, exist_ok=True)
    table = arguments.output / "atlas.json"
    made = json.loads(table.read_text()) if table.is_file() else {"standards": [], "missing": []}
    known = {(row["sex"], row["age_months"]) for row in made["standards"] + made["missing"]}
    for age in AGES:
        for sex in ("F", "M"):
            if (sex, age) in known or (arguments.only and f"{sex}-{age}" not in arguments.only):
                continue
            group = nearest(hands[hands["sex"] == sex], age, sharper)
            found = [hand for hand in (landmarks(row, frames, detector) for row in group.itertuples()) if hand]
            if len(found) < FEWEST_HANDS:
                made["missing"].append({"sex": sex, "age_months": age, "hands": len(found)})
            else:
                picture, used = mean_hand(found)
                name = f"{sex}-{age:03d}.webp"
                cv2.imwrite(str(arguments.output / name), picture, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
                mean = round(float(np.mean([hand.age for hand in used])), 1)
                entry = {"sex": sex, "age_months": age, "file": name, "hands": len(used), "mean_bone_age": mean}
                made["standards"].append(entry)
            print((made["standards"] + made["missing"])[-1] if not found else (sex, age, len(found)), flush=True)
            table.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def frames_file(run: Run) -> Path:
    """The run's frames, rows in the manifest's order."""
    complete = run.stage("frames") / "frames.npy"
    return complete if complete.is_file() else complete.with_name("frames.partial.npy")


def nearest(hands: pd.DataFrame, age: float, sharper: Path) -> pd.DataFrame:
    """The hands nearest to an age; of those as near as a month, sharper images first."""
    away = (hands["boneage"] - age).abs()
    blurred = [not (sharper / Path(path).name).is_file() for path in hands["path"]]
    order = hands.assign(away=away.round(), blurred=blurred)[away <= WIDEST_BAND]
    return order.sort_values(["away", "blurred"], kind="stable").head(CANDIDATES)


def landmarks(row: object, frames: Array, detector: Detector) -> Hand | None:
    """A hand with all its landmarks, or None when the detector did not find them all."""
    image = np.asarray(frames[row.Index], np.uint8)  # type: ignore[attr-defined]
    boxes = {box.name: box for box in name_boxes(detector(HandFrame(image, np.eye(2, 3)))) if box.name}
    if not {*GROWTH_PLATES, *(f"digit{d}" for d in range(1, 6))} <= boxes.keys():
        return None
    points = np.zeros((len(POINTS), 2))
    for name in GROWTH_PLATES:
        left, top, right, bottom = boxes[name].box
        points[ROW[name]] = (left + right) / 2, (top + bottom) / 2
    length = np.hypot(*(points[ROW["MCP3"]] - points[[ROW["radius"], ROW["ulna"]]].mean(axis=0)))
    for digit, joints in enumerate(FINGERS, 1):
        before, last = points[ROW[joints[-2]]], points[ROW[joints[-1]]]
        along = (last - before) / max(float(np.hypot(*(last - before))), 1e-6)
        top = boxes[f"digit{digit}"].box[1] + 0.11 * length  # what a digit's box keeps around its joints
        reach = (last[1] - top) / max(-along[1], 0.3)
        points[ROW[f"tip{digit}"]] = last + along * float(np.clip(reach, 0.1 * length, 0.6 * length))
    if points[ROW["MCP1"], 0] < points[ROW["MCP5"], 0]:
        image = np.ascontiguousarray(image[:, ::-1])
        points[:, 0] = image.shape[1] - 1 - points[:, 0]
    return Hand(str(row.id), float(row.boneage), image, points)  # type: ignore[attr-defined]


def mean_hand(hands: list[Hand]) -> tuple[Image, list[Hand]]:
    """The registered average of the hands that fit it best, and those hands."""
    shape = mean_shape(np.stack([hand.points for hand in hands]))
    maps = [spline_map(shape, hand.points, hands[0].image.shape) for hand in hands]
    for turn, smoothing in enumerate(FLOW_SMOOTHING):
        details = [detail(warp(hand.image, where)) for hand, where in zip(hands, maps, strict=True)]
        target = np.mean(details, axis=0, dtype=np.float32)
        if turn == 1:
            scores = [np.corrcoef(image.ravel(), target.ravel())[0, 1] for image in details]
            best = np.argsort(scores, kind="stable")[::-1][:MOST_HANDS]
            hands, maps, details = ([rows[index] for index in best] for rows in (hands, maps, details))
            target = np.mean(details, axis=0, dtype=np.float32)
        weight = np.hypot(cv2.Sobel(target, cv2.CV_32F, 1, 0), cv2.Sobel(target, cv2.CV_32F, 0, 1)) + 1
        flows = [bone_flow(target, image, weight, smoothing) for image in details]
        common = np.mean(flows, axis=0)
        maps = [follow(where, flow - common) for where, flow in zip(maps, flows, strict=True)]
    return average([warp(hand.image, where) for hand, where in zip(hands, maps, strict=True)], shape), hands


def mean_shape(shapes: Array) -> Array:
    """Procrustes mean of (hands, 21, 2), laid where the hands lie in the median."""
    middle = np.median(shapes, axis=0)
    mean = middle
    for _ in range(5):
        mean = np.median([apply(similarity(shape, mean), shape) for shape in shapes], axis=0)
    return apply(similarity(mean, middle), mean)


def spline_map(shape: Array, points: Array, size: tuple[int, ...]) -> Array:
    """(H, W, 2): where each pixel of the mean lies in a hand, a thin-plate spline through the landmarks."""
    step = 8
    height, width = size
    grid = np.mgrid[0 : width + step : step, 0 : height + step : step].reshape(2, -1).T.astype(float)
    spline = RBFInterpolator(shape, points, kernel="thin_plate_spline", smoothing=20)
    coarse = spline(grid).reshape(width // step + 1, height // step + 1, 2).transpose(1, 0, 2).astype(np.float32)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32) / step
    return np.asarray(cv2.remap(coarse, columns, rows, cv2.INTER_LINEAR))


def warp(image: Image, where: Array) -> Array:
    """An image through a map, float32."""
    return np.asarray(cv2.remap(image.astype(np.float32), where[..., 0], where[..., 1], cv2.INTER_CUBIC))


def detail(image: Array) -> Image:
    """Local contrast, so that exposure and soft tissue do not guide the flow."""
    centred = image - cv2.blur(image, (25, 25))
    power = np.sqrt(np.maximum(cv2.blur(centred**2, (35, 35)), 0)) + 5
    return np.asarray(np.clip(128 + 45 * centred / power, 0, 255), np.uint8)


def bone_flow(target: Array, image: Image, weight: Array, smoothing: float) -> Array:
    """Flow from the mean to a hand, smoothed with the weight of the mean's edges: the plain background has no say."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = np.asarray(dis.calc(np.clip(target, 0, 255).astype(np.uint8), image, None), np.float32)
    flow *= np.minimum(1, LONGEST_FLOW / np.maximum(np.hypot(flow[..., :1], flow[..., 1:]), 1e-6))
    weighted = cv2.GaussianBlur(flow * weight[..., None], (0, 0), smoothing)
    return np.asarray(weighted / cv2.GaussianBlur(weight, (0, 0), smoothing)[..., None])


def follow(where: Array, flow: Array) -> Array:
    """A map after a shift of its pixels."""
    rows, columns = np.mgrid[0 : where.shape[0], 0 : where.shape[1]].astype(np.float32)
    x, y = (columns + flow[..., 0]).astype(np.float32), (rows + flow[..., 1]).astype(np.float32)
    return np.asarray(cv2.remap(where, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def average(warped: list[Array], shape: Array) -> Image:
    """Mean of the images on a blank background, their grey values first matched to each other over the hand."""
    middle = np.median(warped, axis=0)
    mask = hand_mask(middle, shape)
    # Radiographs end at different places of the forearm: the mean ends where the first of them do.
    forearm = np.maximum(mask.max(axis=0), 0)[None] * (mask.sum(axis=1) > 0)[:, None] > 0.5
    ends = [np.flatnonzero(((image > 60) & forearm).sum(axis=1) > 20).max() for image in warped]
    mask[int(np.quantile(ends, 0.1)) - 4 :] = 0
    levels = np.linspace(0, 100, 101)
    quantiles = [np.percentile(image[mask > 0.5], levels) for image in warped]
    common = np.median(quantiles, axis=0)
    matched = [np.interp(image, own, common) for image, own in zip(warped, quantiles, strict=True)]
    mean = (np.mean(matched, axis=0) / 255) ** GAMMA * mask
    # Averaging blurs what registration leaves over; this gives bones back the contrast of a single radiograph.
    for sigma, amount in SHARPENING:
        mean = mean + amount * (mean - cv2.GaussianBlur(mean, (0, 0), sigma)) * mask
    return np.asarray(np.clip(245 * mean / np.percentile(mean, 99.9), 0, 255).round(), np.uint8)


def to_lines(lines: list[list[Array]], size: tuple[int, ...]) -> Array:
    """The distance of each pixel to the nearest of some lines, pixels."""
    picture = np.ones(size, np.uint8)
    for line in lines:
        cv2.polylines(picture, [np.round(line).astype(np.int32)], False, 0, 1)
    return np.asarray(cv2.distanceTransform(picture, cv2.DIST_L2, 5))


def hand_mask(middle: Array, shape: Array) -> Array:
    """Where the hand is in the median image, 0..1 with a soft edge."""
    radius, ulna = shape[ROW["radius"]], shape[ROW["ulna"]]
    wrist = (radius + ulna) / 2
    down = 0.9 * (wrist - shape[ROW["MCP3"]])
    digits = [[wrist, *(shape[ROW[name]] for name in joints)] for joints in FINGERS]
    tips = [[*line, shape[ROW[f"tip{digit}"]]] for digit, line in enumerate(digits, 1)]
    away = to_lines([*tips, [radius, radius + down], [ulna, ulna + down], [radius, ulna]], middle.shape)
    blank = np.percentile(middle[away > 85], 80) if (away > 85).any() else 0
    bright = np.percentile(middle[away < 10], 60)
    bones = to_lines(digits, middle.shape) < 7
    hand = ((middle > blank + 0.22 * (bright - blank)) & (away < 75) | bones).astype(np.uint8)
    hand = cv2.morphologyEx(hand, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))
    outline = max(cv2.findContours(hand, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=cv2.contourArea)
    filled = cv2.drawContours(np.zeros(middle.shape, np.uint8), [outline], -1, 1, cv2.FILLED)
    return np.asarray(cv2.GaussianBlur(cv2.dilate(filled, np.ones((3, 3))).astype(np.float32), (0, 0), 2))


if __name__ == "__main__":
    main()
