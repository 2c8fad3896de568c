"""Make the example radiographs: mean hands, each the registered average of at least 25 hands of one sex and age.

    python examples/make_examples.py ../shared/data/rsna --output examples

reads ``labels.csv``, ``images-299``, ``images-hires`` and ``annotations/keypoints.json`` of that folder, takes a
quarter of an hour on one core, and needs SciPy (it comes with the extra ``train``). How a mean hand comes about:

1. Atlas: the 540 hands with 21 hand-placed key points, turned and scaled onto one mean shape.
2. Landmarks of a hand of the group: its nearest atlas hands are laid over it by dense optical flow (DIS, Kroeger et al.
   2016) and the median of their key points is taken; hands on which they disagree are left out.
3. A thin-plate spline lays each hand onto the group's mean shape; matching the patch about each landmark to the mean
   corrects the landmarks, and the hands that fit the mean best go on.
4. Rounds of smoothed optical flow between each hand and the mean, without their common part, sharpen the mean.
5. The hands are averaged with equal weights, their grey values matched before; the background is blank.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from hand_atlas import Array, Atlas, Image, mean_shape, optical_flow
from scipy.interpolate import RBFInterpolator

FEWEST_HANDS = 25
MOST_HANDS = 32
GROUPS = {"4y": 48, "7y": 84, "10y": 120, "12y6m": 150, "15y": 180}
"""Name and age in months of each age; a group takes the hires hands nearest to it."""
CANDIDATES = 64
WIDEST_BAND = 20
"""Months that a candidate may be away from the age."""
LARGEST_SPREAD = 3.2
"""Pixels of the atlas's square by which the landmarks of the nearest atlas hands may disagree."""

CANVAS = (700, 560)
"""Height and width of an example."""
WRIST = (262, 592)
HAND_HEIGHT = 535
"""Where the wrist is in an example (x, y), and the height from wrist to middle fingertip, pixels."""

MATCH_REACH = (24, 16, 12, 8)
"""Pixels that a landmark may move in each round of matching it to the mean."""
FLOW_SMOOTHING = (14, 10, 8, 6, 5, 5, 5)
"""Standard deviation, in pixels, of the smoothing of each round of optical flow."""
LONGEST_FLOW = 10
"""Pixels that one round of optical flow may move a bone."""
SHARPENING = ((2.0, 0.8), (15.0, 0.4))
"""Standard deviation in pixels and amount of each unsharp mask."""
GAMMA = 0.7
"""Lifts the dim fingers against the bright wrist."""


def main() -> None:
    """Make every example and its manifest."""
    parser = argparse.ArgumentParser(description="Make the example radiographs.")
    parser.add_argument("rsna", type=Path)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    labels = pd.read_csv(arguments.rsna / "labels.csv", index_col="id").dropna(subset=["width", "height"])
    atlas = Atlas.of(arguments.rsna, labels)
    rows = []
    for sex, male in (("F", False), ("M", True)):
        for name, age in GROUPS.items():
            path = arguments.output / f"{'boy' if male else 'girl'}-{name}.png"
            hands = find_hands(arguments.rsna, labels[labels["male"] == male], age, atlas)
            if len(hands) < FEWEST_HANDS:
                raise SystemExit(
                    f"{path.name}: only {len(hands)} hands; a mean hand is made of at least {FEWEST_HANDS}"
                )
            example, used = mean_hand(hands)
            cv2.imwrite(str(path), example, [cv2.IMWRITE_PNG_COMPRESSION, 9])
            boneage = float(labels.loc[[hand.id for hand in used], "boneage"].mean())
            rows.append({"path": path.name, "sex": sex, "boneage": round(boneage, 1), "hands": len(used)})
            print(rows[-1], f"from {len(hands)} candidates", flush=True)
    pd.DataFrame(rows).to_csv(arguments.output / "manifest.csv", index=False)


@dataclass
class Hand:
    """A hand of a group: its image and its 21 landmarks in image pixels."""

    id: int
    image: Image
    points: Array


def find_hands(rsna: Path, labels: pd.DataFrame, age: float, atlas: Atlas) -> list[Hand]:
    """The detailed images about an age whose landmarks are sure, nearest age first."""
    distance = (labels["boneage"] - age).abs().sort_values(kind="stable")
    hands = []
    for name in distance.index[distance <= WIDEST_BAND]:
        path = rsna / f"images-hires/{name}.webp"
        if not path.is_file():
            continue
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        points, spread = atlas.landmarks(image)
        if spread <= LARGEST_SPREAD:
            hands.append(Hand(int(name), image, points))
        if len(hands) == CANDIDATES:
            break
    return hands


def mean_hand(hands: list[Hand]) -> tuple[Image, list[Hand]]:
    """The registered average of the hands that fit it best, and those hands."""
    shape = mean_shape(np.stack([hand.points for hand in hands]), WRIST, HAND_HEIGHT)
    maps = match_landmarks(hands, shape)
    details = [detail(warp(hand.image, where)) for hand, where in zip(hands, maps, strict=True)]
    order = np.argsort([-fit(image, np.mean(details, axis=0)) for image in details], kind="stable")[:MOST_HANDS]
    hands, maps = [hands[index] for index in order], [maps[index] for index in order]
    for smoothing in FLOW_SMOOTHING:
        details = [detail(warp(hand.image, where)) for hand, where in zip(hands, maps, strict=True)]
        target = np.mean(details, axis=0)
        flows = [bone_flow(target, image, smoothing) for image in details]
        common = np.mean(flows, axis=0)
        maps = [follow(where, flow - common) for where, flow in zip(maps, flows, strict=True)]
    return average([warp(hand.image, where) for hand, where in zip(hands, maps, strict=True)], shape), hands


def match_landmarks(hands: list[Hand], shape: Array) -> list[Array]:
    """Thin-plate maps whose landmarks were moved to where the hand looks most like the mean, in narrowing rounds."""
    landmarks = [hand.points for hand in hands]
    for reach in MATCH_REACH:
        maps = [spline_map(shape, points) for points in landmarks]
        details = [detail(warp(hand.image, where)) for hand, where in zip(hands, maps, strict=True)]
        target = np.mean(details, axis=0)
        shifts = np.stack([patch_shifts(target, image, shape, reach) for image in details])
        shifts -= np.median(shifts, axis=0)
        landmarks = [sample(where, shape + shift) for where, shift in zip(maps, shifts, strict=True)]
    return [spline_map(shape, points) for points in landmarks]


def patch_shifts(target: Array, image: Image, shape: Array, reach: int) -> Array:
    """(21, 2): how far the patch of the mean about each landmark lies from it in a hand, at most ``reach`` pixels."""
    half = 28
    pad = half + reach
    padded = [cv2.copyMakeBorder(np.float32(i), pad, pad, pad, pad, cv2.BORDER_REPLICATE) for i in (target, image)]
    shifts = []
    for x, y in shape.round().astype(int) + pad:
        template = padded[0][y - half : y + half + 1, x - half : x + half + 1]
        area = padded[1][y - half - reach : y + half + reach + 1, x - half - reach : x + half + reach + 1]
        score = cv2.matchTemplate(area, template, cv2.TM_CCOEFF_NORMED)
        offset = np.mgrid[-reach : reach + 1, -reach : reach + 1] / reach
        score -= 0.1 * (offset**2).sum(axis=0)  # of places that look alike, the near one
        row, column = np.unravel_index(score.argmax(), score.shape)
        shifts.append((column - reach, row - reach))
    return np.array(shifts, dtype=float)


def sample(where: Array, points: Array) -> Array:
    """A map's values at points (N, 2)."""
    x, y = points.astype(np.float32).T
    values = cv2.remap(where.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values, dtype=float).reshape(-1, 2)


def bone_flow(target: Array, image: Image, smoothing: float) -> Array:
    """Flow from the mean to a hand, smoothed with the weight of the mean's edges: the plain background has no say."""
    flow = optical_flow(np.clip(target, 0, 255).astype(np.uint8), image, 1)
    flow *= np.minimum(1, LONGEST_FLOW / np.maximum(np.linalg.norm(flow, axis=2, keepdims=True), 1e-6))
    soft = cv2.GaussianBlur(target, (0, 0), 1.5)
    weight = np.hypot(cv2.Sobel(soft, cv2.CV_64F, 1, 0), cv2.Sobel(soft, cv2.CV_64F, 0, 1)) + 1
    weighted = cv2.GaussianBlur(flow * weight[..., None], (0, 0), smoothing)
    return np.asarray(weighted / cv2.GaussianBlur(weight, (0, 0), smoothing)[..., None])


def spline_map(shape: Array, points: Array) -> Array:
    """(H, W, 2): where each canvas pixel lies in the image, a thin-plate spline through the landmarks."""
    step = 10
    height, width = CANVAS
    grid = np.mgrid[0 : width + step : step, 0 : height + step : step].reshape(2, -1).T.astype(float)
    spline = RBFInterpolator(shape, points, kernel="thin_plate_spline", smoothing=50)
    coarse = spline(grid).reshape(width // step + 1, height // step + 1, 2).transpose(1, 0, 2).astype(np.float32)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32) / step
    return np.asarray(cv2.remap(coarse, columns, rows, cv2.INTER_LINEAR), dtype=np.float64)


def follow(where: Array, flow: Array) -> Array:
    """A map after a shift of its canvas pixels."""
    rows, columns = np.mgrid[0 : CANVAS[0], 0 : CANVAS[1]]
    x, y = (columns + flow[..., 0]).astype(np.float32), (rows + flow[..., 1]).astype(np.float32)
    return np.asarray(cv2.remap(where, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), dtype=np.float64)


def warp(image: Image, where: Array) -> Array:
    """An image through a map; NaN outside the image."""
    x, y = where[..., 0].astype(np.float32), where[..., 1].astype(np.float32)
    grey = cv2.remap(image.astype(np.float32), x, y, cv2.INTER_CUBIC)
    inside = (x >= 2) & (y >= 2) & (x < image.shape[1] - 3) & (y < image.shape[0] - 3)
    return np.where(inside, grey, np.nan)


def average(warped: list[Array], shape: Array) -> Image:
    """Mean of the images on a blank background, their grey values first matched to each other over the hand."""
    bones = cv2.distanceTransform(1 - skeleton(shape), cv2.DIST_L2, 5)
    evened = []
    for image in warped:
        blank, bright = np.nanmedian(image[bones > 110]), np.nanpercentile(image[bones < 30], 99)
        evened.append(np.clip((image - blank) / max(bright - blank, 1), 0, 1.2) ** GAMMA)
    mask = hand_mask(np.nan_to_num(np.nanmedian(evened, axis=0)), bones)
    levels = np.linspace(0, 100, 101)
    quantiles = [np.nanpercentile(grey[mask > 0.5], levels) for grey in evened]
    common = np.median(quantiles, axis=0)
    matched = [
        np.where(np.isnan(grey), np.nan, np.interp(grey, own, common))
        for grey, own in zip(evened, quantiles, strict=True)
    ]
    mean = np.nan_to_num(np.nanmean(matched, axis=0)) * mask
    # Averaging blurs what registration leaves over; this gives bones back the contrast of a single radiograph.
    for sigma, amount in SHARPENING:
        mean = mean + amount * (mean - cv2.GaussianBlur(mean, (0, 0), sigma)) * mask
    return np.asarray(np.clip(245 * mean / np.percentile(mean, 99.9), 0, 255).round(), dtype=np.uint8)


def skeleton(shape: Array) -> Image:
    """The digits' lines from wrist to tips and the forearm, 1 on 0."""
    picture = np.zeros(CANVAS, np.uint8)
    points = shape.round().astype(int)
    lines = [[points[0], *points[first : first + 4]] for first in (1, 5, 9, 13, 17)]
    for line in [*lines, [points[0], points[0] + (0, CANVAS[0])]]:
        cv2.polylines(picture, [np.array(line, np.int32)], False, 1, 1)
    return picture


def hand_mask(mean: Array, bones: Array) -> Array:
    """Where the hand is in the mean, 0..1 with a soft edge; ``bones`` is the distance to the skeleton."""
    blank = np.percentile(mean[bones > 110], 90)
    hand = ((mean > blank + 0.06) & (bones < 100) | (bones < 8)).astype(np.uint8)
    hand = cv2.morphologyEx(hand, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    outline = max(cv2.findContours(hand, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=cv2.contourArea)
    filled = cv2.drawContours(np.zeros(CANVAS, np.uint8), [outline], -1, 1, cv2.FILLED)
    return np.asarray(cv2.GaussianBlur(cv2.dilate(filled, np.ones((5, 5))).astype(float), (0, 0), 2.5))


def detail(image: Array) -> Image:
    """Local contrast, so that exposure and soft tissue do not guide the flow."""
    filled = np.nan_to_num(image)
    centred = filled - cv2.GaussianBlur(filled, (0, 0), 20)
    power = np.sqrt(cv2.GaussianBlur(centred**2, (0, 0), 30)) + 0.03
    return np.asarray(np.clip(128 + 50 * centred / power, 0, 255), dtype=np.uint8)


def fit(image: Image, mean: Image) -> float:
    """Correlation of two images."""
    return float(np.corrcoef(image.ravel(), mean.ravel())[0, 1])


if __name__ == "__main__":
    main()
