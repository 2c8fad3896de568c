"""Make the example radiographs: mean hands, each the registered average of at least 25 hands of one sex and about one age.

    python examples/make_examples.py ../shared/data/rsna --output examples

reads ``labels.csv``, ``images-299``, ``images-hires`` and ``annotations/keypoints.json`` of that folder, takes about five
minutes on one core, and needs SciPy (in the extra ``train``). How a mean hand comes about:

1. Atlas: the 540 hands with 21 hand-placed key points, turned and scaled onto one mean shape.
2. Landmarks of a hand of the group: its nearest atlas hands are laid over it by dense optical flow (DIS, Kroeger et al.
   2016) and the median of their key points is taken; hands on which they disagree are left out.
3. A thin-plate spline lays each hand onto the group's mean shape.
4. Rounds of smoothed optical flow between each hand and the mean, without their common part, sharpen the mean.
5. The hands that fit the mean best are averaged with equal weights, their grey values matched before; the background is blank.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

FEWEST_HANDS = 25
MOST_HANDS = 32
GROUPS = {"4y": 48, "7y": 84, "10y": 120, "12y6m": 150, "15y": 180}
"""Name and age in months of each age; a group takes the hires hands nearest to it."""
CANDIDATES = 64
WIDEST_BAND = 20
"""Months that a candidate may be away from the age."""

DEBUG = True
CANVAS = (700, 560)
"""Height and width of an example."""
WRIST = (262, 560)
HAND_HEIGHT = 510
"""Where the wrist is in an example (x, y), and the height from wrist to middle fingertip, pixels."""

GAMMA = 0.7
"""Lifts the dim fingers against the bright wrist."""

SIDE = 320
"""Side of the square in which hands are compared with the atlas."""
LARGEST_SPREAD = 3.2
"""Pixels of that square by which the landmarks of the nearest atlas hands may disagree."""
NEAREST = 9

Image = NDArray[np.uint8]
Array = NDArray[np.float64]


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
            example, used = mean_hand(hands)
            cv2.imwrite(str(path), example, [cv2.IMWRITE_PNG_COMPRESSION, 9])
            boneage = labels.loc[[hand.id for hand in used], "boneage"].mean()
            rows.append({"path": path.name, "sex": sex, "boneage": round(boneage, 1), "hands": len(used)})
            print(rows[-1], f"from {len(hands)} candidates", flush=True)
    pd.DataFrame(rows).to_csv(arguments.output / "manifest.csv", index=False)


# --- landmarks from the atlas -----------------------------------------------------------------------------------------


def similarity(source: Array, target: Array) -> Array:
    """The (2, 3) turn, scale and shift that lays points (N, 2) on others with the least squared distance."""
    (a, b), (centre_a, centre_b) = (source - source.mean(0), target - target.mean(0)), (source.mean(0), target.mean(0))
    x, y = a[:, 0] + 1j * a[:, 1], b[:, 0] + 1j * b[:, 1]
    ratio = (x.conj() @ y) / (x.conj() @ x).real
    linear = np.array([[ratio.real, -ratio.imag], [ratio.imag, ratio.real]])
    return np.c_[linear, centre_b - linear @ centre_a]


def apply(affine: Array, points: Array) -> Array:
    """Points (N, 2) through a (2, 3) affine map."""
    return points @ affine[:, :2].T + affine[:, 2]


def mean_shape(shapes: Array, wrist: tuple[float, float], height: float) -> Array:
    """Procrustes mean of (hands, 21, 2), middle finger upright, wrist and height from wrist to middle fingertip given."""
    mean = shapes[0]
    for _ in range(5):
        mean = np.median([apply(similarity(shape, mean), shape) for shape in shapes], axis=0)
        axis = mean[9] - mean[0]
        turn = np.array([[-axis[1], axis[0]], [-axis[0], -axis[1]]]) / np.linalg.norm(axis)
        mean = (mean - mean[0]) @ turn.T
        mean = mean * (-height / mean[12, 1]) + wrist
    return mean


def square(image: Image) -> tuple[Image, Array]:
    """An image fitted into the comparing square with even contrast, and the (2, 3) map into it."""
    height, width = image.shape
    scale = SIDE / max(height, width)
    affine = np.array([[scale, 0, (SIDE - scale * width) / 2], [0, scale, (SIDE - scale * height) / 2]])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    shift = np.array([[1, 0, affine[0, 2]], [0, 1, affine[1, 2]]])
    fitted = cv2.warpAffine(small, shift, (SIDE, SIDE))
    return np.asarray(cv2.createCLAHE(3.0, (6, 6)).apply(fitted), dtype=np.uint8), affine


def signature(image: Image) -> Array:
    """A coarse picture of unit length, for finding alike hands."""
    coarse = cv2.resize(cv2.GaussianBlur(image, (0, 0), 3), (48, 48), interpolation=cv2.INTER_AREA).ravel().astype(float)
    coarse -= coarse.mean()
    return coarse / np.linalg.norm(coarse)


def optical_flow(fixed: Image, moving: Image, smoothing: float) -> Array:
    """(H, W, 2) shift of each fixed pixel to its like in the moving image."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = dis.calc(fixed, moving, None)
    return np.asarray(cv2.GaussianBlur(flow, (0, 0), smoothing), dtype=np.float64)


@dataclass
class Bank:
    """Hands to compare with: images, their signatures (hands, D) and points (hands, 21, 2)."""

    images: list[Image]
    points: Array

    def __post_init__(self) -> None:
        self.signatures = np.stack([signature(image) for image in self.images])

    def landmarks(self, image: Image) -> tuple[Array, float]:
        """Median points (21, 2) of the most alike hands laid over the image, and how far they typically disagree."""
        votes = []
        for index in np.argsort(-self.signatures @ signature(image))[:NEAREST]:
            points = self.points[index]
            flow = optical_flow(self.images[index], image, 4)
            columns, rows = np.clip(points.round().astype(int), 0, SIDE - 1).T
            votes.append(points + flow[rows, columns])
        median = np.median(votes, axis=0)
        return median, float(np.median(np.linalg.norm(np.stack(votes) - median, axis=2)))


@dataclass
class Atlas:
    """The hands with key points: as they lie in their images, and laid on one shape."""

    raw: Bank
    shape: Array
    upright: Bank

    @classmethod
    def of(cls, rsna: Path, labels: pd.DataFrame) -> "Atlas":
        images, points = [], []
        for name, entry in json.loads((rsna / "annotations/keypoints.json").read_text()).items():
            if int(name) not in labels.index:
                continue
            width, height = labels.loc[int(name), ["width", "height"]]
            squashed = cv2.imread(str(rsna / f"images-299/{name}.webp"), cv2.IMREAD_GRAYSCALE)
            scale = SIDE / max(width, height)
            image = cv2.resize(squashed, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
            fitted, affine = square(image)
            images.append(fitted)
            points.append(apply(affine, np.array(entry["keypoints"])[:, :2] * image.shape[::-1]))
        shape = mean_shape(np.stack(points), (150, 245), 200)
        maps = [similarity(hand, shape) for hand in points]
        upright = [cv2.warpAffine(image, affine, (SIDE, SIDE)) for image, affine in zip(images, maps, strict=True)]
        laid = np.stack([apply(affine, hand) for hand, affine in zip(points, maps, strict=True)])
        return cls(Bank(images, np.stack(points)), shape, Bank(upright, laid))

    def landmarks(self, image: Image) -> tuple[Array, float]:
        """The 21 key points of a hand in its image's pixels, and how far the atlas hands disagree on them."""
        fitted, to_square = square(image)
        points, spread = self.raw.landmarks(fitted)
        for _ in range(2):
            turn = similarity(points, self.shape)
            upright, spread = self.upright.landmarks(cv2.warpAffine(fitted, turn, (SIDE, SIDE)))
            points = apply(cv2.invertAffineTransform(turn), upright)
        return apply(cv2.invertAffineTransform(to_square), points), spread


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


# --- the mean of a group ----------------------------------------------------------------------------------------------


def mean_hand(hands: list[Hand]) -> tuple[Image, list[Hand]]:
    """The registered average of the hands that fit it best, and those hands."""
    shape = mean_shape(np.stack([hand.points for hand in hands]), WRIST, HAND_HEIGHT)
    landmarks = np.stack([hand.points for hand in hands])
    for reach in (24, 16, 12, 8):
        maps = [spline_map(shape, points) for points in landmarks]
        details = np.stack([detail(warp(hand.image, where)) for hand, where in zip(hands, maps, strict=True)])
        target = details.mean(axis=0)
        dump(f"match{reach}", target)
        shifts = np.stack([patch_shifts(target, image, shape, reach) for image in details])
        shifts -= np.median(shifts, axis=0)
        landmarks = np.stack([sample(where, shape + shift) for where, shift in zip(maps, shifts, strict=True)])
    maps = [spline_map(shape, points) for points in landmarks]
    details = [detail(warp(hand.image, where)) for hand, where in zip(hands, maps, strict=True)]
    order = np.argsort([-fit(image, np.mean(details, axis=0)) for image in details])[:MOST_HANDS]
    hands, maps = [hands[index] for index in order], [maps[index] for index in order]
    for smoothing in (14, 10, 8, 6, 5, 5, 5):
        details = [detail(warp(hand.image, where)) for hand, where in zip(hands, maps, strict=True)]
        target = np.mean(details, axis=0)
        dump(f"flow{smoothing}", target)
        flows = [bone_flow(target, image, smoothing) for image in details]
        common = np.mean(flows, axis=0)
        maps = [follow(where, flow - common) for where, flow in zip(maps, flows, strict=True)]
    warped = [warp(hand.image, where) for hand, where in zip(hands, maps, strict=True)]
    return average(warped, hand_mask(np.mean([detail(image) for image in warped], axis=0), shape)), hands


def dump(name, target):
    cv2.imwrite(f"/tmp/ex/{name}.png", np.clip(target, 0, 255).astype(np.uint8))


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
        score -= 0.1 * (offset**2).sum(0)
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
    flow = optical_flow(np.uint8(np.clip(target, 0, 255)), image, 1)
    flow *= np.minimum(1, 10 / np.maximum(np.linalg.norm(flow, axis=2, keepdims=True), 1e-6))
    soft = cv2.GaussianBlur(target, (0, 0), 1.5)
    weight = np.hypot(cv2.Sobel(soft, cv2.CV_64F, 1, 0), cv2.Sobel(soft, cv2.CV_64F, 0, 1)) + 1
    return cv2.GaussianBlur(flow * weight[..., None], (0, 0), smoothing) / cv2.GaussianBlur(weight, (0, 0), smoothing)[..., None]


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


def hand_mask(mean: Array, shape: Array) -> Array:
    """Where the hand is in a mean of local contrasts, 0..1 with a soft edge."""
    bright = (mean > 134).astype(np.uint8)
    bright = cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    palm, forearm = shape[[0, 1, 5, 9, 13, 17]], shape[0] + [[-45, 0], [45, 0], [45, CANVAS[0]], [-45, CANVAS[0]]]
    for polygon in (palm, forearm):
        cv2.fillPoly(bright, [polygon.round().astype(np.int32)], 1)
    cv2.imwrite("/tmp/ex/bright.png", bright * 255); np.save("/tmp/ex/mean.npy", mean)
    bright = cv2.morphologyEx(bright, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15)))
    contours, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(contours, key=cv2.contourArea)
    filled = cv2.drawContours(np.zeros(CANVAS, np.uint8), [outline], -1, 1, cv2.FILLED)
    return np.clip(cv2.GaussianBlur(cv2.dilate(filled, np.ones((7, 7), np.uint8)).astype(float), (0, 0), 3), 0, 1)


def average(warped: list[Array], mask: Array) -> Image:
    """Mean of the images on a blank background, their grey values first matched to each other over the hand."""
    hand = mask > 0.5
    around = (cv2.dilate(mask, np.ones((41, 41))) > 0.5) & (cv2.dilate(mask, np.ones((9, 9))) < 0.5)
    levels = np.linspace(0, 100, 101)
    evened, quantiles = [], []
    for image in warped:
        blank, bright = np.nanmedian(image[around]), np.nanpercentile(image[hand], 99.5)
        grey = np.clip((image - blank) / max(bright - blank, 1), 0, 1.2) ** GAMMA
        evened.append(grey)
        quantiles.append(np.nanpercentile(grey[hand], levels))
    common = np.median(quantiles, axis=0)
    matched = [np.where(np.isnan(grey), np.nan, np.interp(grey, own, common)) for grey, own in zip(evened, quantiles, strict=True)]
    mean = np.nan_to_num(np.nanmean(matched, axis=0)) * mask
    return np.asarray(np.clip(245 * mean / mean.max(), 0, 255).round(), dtype=np.uint8)


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
