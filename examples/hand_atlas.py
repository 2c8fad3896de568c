"""Landmarks of a hand from the hands whose key points people placed."""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

SIDE = 320
"""Side of the square in which hands are compared with the atlas."""
NEAREST = 9

Image = NDArray[np.uint8]
Array = NDArray[np.float64]


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
    """Procrustes mean of (hands, 21, 2), middle finger upright; height is that from the wrist to its tip."""
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
    coarse = (
        cv2.resize(cv2.GaussianBlur(image, (0, 0), 3), (48, 48), interpolation=cv2.INTER_AREA).ravel().astype(float)
    )
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
