"""A small data set to try a training on: changed copies of the example hands, annotated by the shipped bundle.

It shows that everything runs, and how data must look. It teaches nothing: its splits show the same few hands.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from boneage_roi.datasets.manifest import read_manifest
from boneage_roi.errors import InputError
from boneage_roi.files import replace_folder, write_atomically
from boneage_roi.pipeline.reader import BoneAgeReader, load
from boneage_roi.progress import Progress, tracked

SPLITS = ("train", "fusion", "test", "train", "train", "fusion")
"""Of the copies of a hand, in turn."""

HEIGHT = 360
"""Pixels of an image."""

PLATES = {
    "MCP1": (293, 244),
    "IP1": (323, 202),
    "radius": (208, 366),
    "ulna": (164, 372),
    "MCP2": (236, 182),
    "PIP2": (246, 114),
    "DIP2": (248, 74),
    "MCP3": (193, 183),
    "PIP3": (190, 106),
    "DIP3": (186, 59),
    "MCP4": (158, 200),
    "PIP4": (140, 130),
    "DIP4": (132, 86),
    "MCP5": (126, 222),
    "PIP5": (94, 176),
    "DIP5": (80, 148),
}
"""Where the growth plates of the example hands lie in their frame of 512 x 416 pixels, to a few pixels."""

NEAR = 20
"""So many pixels of the frame at most lie between a plate and where it is expected."""

KEY_POINTS = (
    *("wrist", "CMC1", "MCP1", "IP1", "tip1"),
    *(f"{joint}{digit}" for digit in range(2, 6) for joint in ("MCP", "PIP", "DIP", "tip")),
)
"""The 21 key points in their order."""

JOINT_LABELS = {"MCP": "MCP", "PIP": "PIP", "IP": "PIP", "DIP": "DIP", "radius": "Radius", "ulna": "Ulna"}
"""What koitka2018 calls each growth plate."""

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Drawn:
    """An example and what a person would draw on it, in its own pixels."""

    pixels: NDArray[np.uint8]
    outline: Points
    points: dict[str, Points]
    wrist_box: Points


def make_demo(
    folder: Path, examples: Path, *, copies: int = 6, seed: int = 0, progress: Progress | None = None
) -> Path:
    """Write the data set: ``hands.csv``, ``images/``, ``annotations/``.

    Args:
        folder: a new or empty folder.
        examples: holds the example hands and their ``manifest.csv``.
        copies: of each hand.

    Returns:
        The table of hands.

    Raises:
        InputError: the folder holds something, or the examples are not there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is not an empty folder; give a new one")
    if not (examples / "manifest.csv").is_file():
        raise InputError(f"{examples}: no manifest.csv of example hands; give the folder `examples` of the repository")
    hands, reader, random = read_manifest(examples / "manifest.csv"), load(tta=False), np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    boxes: list[tuple[Any, ...]] = []
    keypoints: dict[str, Any] = {}
    polygons: dict[str, Any] = {}
    with replace_folder(folder) as building:
        (building / "images").mkdir()
        hand: Any
        for hand in tracked(hands.itertuples(), "example hands", len(hands), progress):
            drawn = _draw(reader, hand.path)
            for number in range(copies):
                name = f"{hand.id}-{number}"
                image, matrix = _changed(drawn.pixels, random)
                cv2.imwrite(str(building / "images" / f"{name}.png"), image)
                rows.append(
                    {
                        "path": f"images/{name}.png",
                        "sex": hand.sex,
                        "boneage": hand.boneage,
                        "split": SPLITS[number % len(SPLITS)],
                    }
                )
                size = np.array(image.shape[::-1], float)
                placed = {key: _map(point, matrix) for key, point in drawn.points.items()}
                shares = [((placed[key] + 0.5) / size).round(5).tolist() for key in KEY_POINTS]
                keypoints[name] = {"keypoints": [[*point, 2.0] for point in shares]}
                polygons[name] = [((_map(drawn.outline, matrix) + 0.5) / size).round(5).tolist()]
                boxes += [
                    (name, "koitka2018", label, *np.round((corners + 0.5) / np.tile(size, 2), 5))
                    for label, corners in _boxes(placed, _map(drawn.wrist_box, matrix))
                ]
        pd.DataFrame(rows).to_csv(building / "hands.csv", index=False)
        table = pd.DataFrame(boxes, columns=["id", "source", "label", "xmin", "ymin", "xmax", "ymax"])
        write_atomically(building / "annotations" / "boxes.csv", table.to_csv(index=False))
        write_atomically(building / "annotations" / "keypoints.json", json.dumps(keypoints))
        write_atomically(building / "annotations" / "hand_polygons.json", json.dumps(polygons))
    return folder / "hands.csv"


def _draw(reader: BoneAgeReader, path: str) -> _Drawn:
    """Annotate an example with what the bundle finds in it."""
    pixels = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise InputError(f"{path}: not a readable image")
    analysis = reader.analyse(path)
    found = [box.box for box in analysis.boxes if box.region == "epiphysis"]
    centres = (np.array(found)[:, :2] + np.array(found)[:, 2:]) / 2
    frame: dict[str, Points] = {}
    for name, expected in PLATES.items():
        distances = np.hypot(*(centres - expected).T)
        frame[name] = centres[distances.argmin()] if distances.min() < NEAR else np.array(expected, float)
    for digit in range(2, 6):
        frame[f"tip{digit}"] = frame[f"DIP{digit}"] + 0.75 * (frame[f"DIP{digit}"] - frame[f"PIP{digit}"])
    frame["tip1"] = frame["IP1"] + 0.85 * (frame["IP1"] - frame["MCP1"])
    points = {name: analysis.frame.to_radiograph(point[None])[0] for name, point in frame.items()}
    points["wrist"] = np.array(analysis.mask.wrist)
    points["CMC1"] = (points["wrist"] + points["MCP1"]) / 2
    left, top, right, bottom = next(box.box for box in analysis.boxes if box.region == "carpal")
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    outlines, _ = cv2.findContours(analysis.mask.pixels.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outline = cv2.approxPolyDP(max(outlines, key=cv2.contourArea), 1.0, True)[:, 0].astype(float)
    return _Drawn(np.asarray(pixels, np.uint8), outline, points, analysis.frame.to_radiograph(corners))


def _changed(pixels: NDArray[np.uint8], random: Generator) -> tuple[NDArray[np.uint8], Points]:
    """A copy turned, moved, made smaller, perhaps mirrored, in other greys; and the map (2, 3) that took it there."""
    height, width = pixels.shape
    shrink = HEIGHT / height
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-10, 10), random.uniform(0.85, 1.0))
    matrix = np.asarray(turn, np.float64)
    matrix[:, 2] += random.uniform(-0.02, 0.02, 2) * (width, height)
    matrix *= shrink
    size = (round(width * shrink), HEIGHT)
    if random.random() < 0.5:
        matrix[0] = [-matrix[0, 0], -matrix[0, 1], size[0] - 1 - matrix[0, 2]]
    small = cv2.GaussianBlur(pixels, (0, 0), 0.5 / shrink)  # or thin bones would flicker
    warped = cv2.warpAffine(small, matrix, size, flags=cv2.INTER_LINEAR).astype(float) / 255
    grey = 255 * warped ** random.uniform(0.8, 1.25) + random.normal(0, 2, warped.shape)
    return np.asarray(grey.clip(0, 255), np.uint8), np.asarray(matrix, np.float64)


def _boxes(points: dict[str, Points], wrist: Points) -> list[tuple[str, Points]]:
    """koitka2018's boxes, label and corners: the growth plates and the wrist."""
    middle = (points["radius"] + points["ulna"]) / 2
    half = 0.14 * float(np.hypot(*(points["MCP3"] - middle)))
    boxes = [
        (JOINT_LABELS[name.rstrip("12345")], np.concatenate([points[name] - half, points[name] + half]))
        for name in PLATES
    ]
    return [*boxes, ("Wrist", np.concatenate([wrist.min(axis=0), wrist.max(axis=0)]))]


def _map(points: Points, matrix: Points) -> Points:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])
