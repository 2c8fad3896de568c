"""Samples for the aspect network: hands of a known aspect, turned and squashed."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from boneage_roi.aspect.view import aspect_view
from boneage_roi.datasets.augmentation import random_intensity
from boneage_roi.files import write_atomically
from boneage_roi.imaging.frame import frame_map
from boneage_roi.values import HandFrame, HandMask, Point

MOST = 1.6
"""Hands are made so many times too wide, or too high, at the most."""

NEARLY_RIGHT = 0.3
"""Share of the hands whose aspect is changed by a few percent only: there the network has to be most exact."""


@dataclass(frozen=True, eq=False)
class AspectSample:
    """A hand of the right aspect in a small frame: its pixels and its mask, uint8 (h, w), and its two landmarks."""

    pixels: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    wrist: Point
    middle_mcp: Point


def aspect_sample(frame: HandFrame, mask: HandMask, height: int) -> AspectSample:
    """A hand as a sample whose frame has so many rows."""
    scale = height / frame.pixels.shape[0]
    shape = (round(frame.pixels.shape[1] * scale), height)
    hand = cv2.warpAffine(mask.pixels.astype(np.uint8), frame.to_frame, frame.pixels.shape[::-1])
    wrist, knuckle = (scale * (frame.to_frame @ [*point, 1] + 0.5) - 0.5 for point in (mask.wrist, mask.middle_mcp))
    return AspectSample(
        np.asarray(cv2.resize(frame.pixels, shape, interpolation=cv2.INTER_AREA), np.uint8),
        np.asarray(cv2.resize(hand, shape, interpolation=cv2.INTER_NEAREST), np.uint8),
        (float(wrist[0]), float(wrist[1])),
        (float(knuckle[0]), float(knuckle[1])),
    )


def write_samples(path: Path, samples: dict[str, AspectSample]) -> None:
    """Keep samples of one size, by hand."""
    kept = list(samples.values())
    content = BytesIO()
    np.savez_compressed(
        content,
        ids=np.array(list(samples), dtype=str),
        pixels=np.stack([sample.pixels for sample in kept]),
        masks=np.stack([sample.mask > 0 for sample in kept]),
        points=np.array([[sample.wrist, sample.middle_mcp] for sample in kept]),
    )
    write_atomically(path, content.getvalue())


def read_samples(path: Path) -> dict[str, AspectSample]:
    """What :func:`write_samples` kept."""
    with np.load(path) as kept:
        columns = [kept[name] for name in ("ids", "pixels", "masks", "points")]
    return {
        str(key): AspectSample(pixels, mask.astype(np.uint8), (wrist[0], wrist[1]), (knuckle[0], knuckle[1]))
        for key, pixels, mask, (wrist, knuckle) in zip(*columns, strict=True)
    }


def squashed_view(sample: AspectSample, degrees: float, error: float, size: int) -> tuple[NDArray[np.uint8], int]:
    """What :func:`aspect_view` shows of a hand that is turned, then made ``exp(error)`` times too wide."""
    height, width = sample.pixels.shape
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = np.diag([np.exp(error / 2), np.exp(-error / 2)]) @ turn
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]) @ linear.T
    offset = -corners.min(axis=0)
    matrix = np.column_stack([linear, offset])
    canvas = tuple(int(side) for side in np.ceil(np.ptp(corners, axis=0)) + 1)
    pixels = np.asarray(cv2.warpAffine(sample.pixels, matrix, canvas), np.uint8)
    inside = cv2.warpAffine(sample.mask, matrix, canvas, flags=cv2.INTER_NEAREST).astype(bool)
    wrist, knuckle = (matrix @ [*point, 1] for point in (sample.wrist, sample.middle_mcp))
    mask = HandMask(inside, (wrist[0], wrist[1]), (knuckle[0], knuckle[1]), 1.0)
    to_frame = frame_map(mask, (height, width))
    frame = np.asarray(cv2.warpAffine(pixels, to_frame, (width, height)), np.uint8)
    return aspect_view(HandFrame(frame, to_frame), mask, size)


def random_pose(random: Generator) -> tuple[float, float]:
    """Degrees by which a hand is turned, and the logarithm of how much too wide it is made."""
    degrees = random.uniform(-180, 180) if random.random() < 0.3 else random.normal(0, 12)
    if random.random() < NEARLY_RIGHT:
        return degrees, random.normal(0, 0.06)
    return degrees, random.uniform(-np.log(MOST), np.log(MOST))


class AspectDataset(Dataset[tuple[Tensor, Tensor]]):
    """Views (1, S, S) of squashed hands, half of them mirrored, and their errors along the view's x axis."""

    def __init__(self, samples: list[AspectSample], size: int, *, seed: int) -> None:
        self.samples = samples
        self.size = size
        self.seed = seed
        self.random = np.random.default_rng(seed)

    def reseed(self, *numbers: int) -> None:
        """Draw from now on what these numbers make."""
        self.random = np.random.default_rng((self.seed, *numbers))

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        degrees, error = random_pose(self.random)
        view, sign = squashed_view(self.samples[index], degrees, error, self.size)
        if self.random.random() < 0.5:
            view = view[:, ::-1]
        grey = random_intensity(self.random, _jittered(self.random, view), strength=0.7)
        return torch.from_numpy(grey)[None], torch.tensor(sign * error, dtype=torch.float32)


def _jittered(random: Generator, view: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A view a little moved and scaled, as another mask would have it."""
    middle, scale = (view.shape[0] - 1) / 2, np.exp(random.uniform(-0.08, 0.08))
    shift = middle * (1 - scale) + random.uniform(-0.03, 0.03, 2) * view.shape[0]
    matrix = np.column_stack([scale * np.eye(2), shift])
    moved = np.asarray(cv2.warpAffine(np.ascontiguousarray(view), matrix, view.shape), np.float32)
    return moved / np.float32(255)
