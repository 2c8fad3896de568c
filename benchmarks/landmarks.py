"""The landmark forest beside the U-Net's landmarks, on hands with key points outside the `train` split.

    python benchmarks/landmarks.py ../shared/data/rsna --hands 300

Both see the whole radiograph in a square. Errors are Euclidean distances in pixels of the radiograph and as shares of
the distance from the wrist to the middle MCP joint; the RSNA images have no pixel spacing, so there are no millimetres.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import boneage_roi as br
from boneage_roi.configs.schema import SplitConfig
from boneage_roi.datasets.annotations import Annotations
from boneage_roi.datasets.manifest import find_table, read_dataset, read_hand
from boneage_roi.datasets.splits import assign_splits
from boneage_roi.segmentation.forest import LandmarkForest
from boneage_roi.segmentation.letterbox import letterbox, letterbox_map

LANDMARKS = {"wrist": 0, "middle_mcp": 9}


def main(dataset: Path, hands: int = 300, size: Annotated[int, typer.Option(help="Side of the square.")] = 128) -> None:
    """Teach the forest on `train` hands, and measure both on the others."""
    drawn = Annotations.read(find_table(dataset).parent / "annotations").keypoints
    table = assign_splits(read_dataset(dataset), SplitConfig())
    table = table[table["id"].isin(drawn)]
    table = table.sample(min(hands, len(table)), random_state=0)
    reader, forest = br.load(tta=False, threads=1), LandmarkForest()
    images, points = [], []
    for hand in table[table["split"] == "train"].itertuples():
        image, true, _, to_square = _sample(hand, drawn, size)
        images.append(image)
        points.append(true @ to_square[:, :2].T + to_square[:, 2])
    forest.fit(images, points)
    errors: dict[str, list[np.ndarray]] = {"forest": [], "U-Net": []}
    others = table[table["split"] != "train"]
    for hand in others.itertuples():
        image, true, radiograph, to_square = _sample(hand, drawn, size)
        inverse = np.linalg.inv(np.vstack([to_square, [0, 0, 1]]))
        voted = forest(image) @ inverse[:2, :2].T + inverse[:2, 2]
        mask = reader.segment(radiograph)
        length = np.hypot(*(true[1] - true[0]))
        for name, found in (("forest", voted), ("U-Net", np.array([mask.wrist, mask.middle_mcp]))):
            away = np.hypot(*(found - true).T)
            errors[name].append(np.concatenate([away, away / length]))
    print(f"{len(images)} hands to learn from, {len(others)} to measure on\n")
    print("| landmark | method | mean, px | median, px | mean, share | 95th, share |\n|---|---|---|---|---|---|")
    for column, landmark in enumerate(LANDMARKS):
        for name, rows in errors.items():
            pixels, shares = (np.stack(rows)[:, column + 2 * unit] for unit in (0, 1))
            figures = (pixels.mean(), np.median(pixels), shares.mean(), np.quantile(shares, 0.95))
            print(f"| {landmark} | {name} | " + " | ".join(f"{figure:.3g}" for figure in figures) + " |")


def _sample(hand: Any, drawn: dict[str, Any], size: int) -> tuple[np.ndarray, np.ndarray, Any, np.ndarray]:
    """The square greys, the true landmarks in the radiograph, the radiograph, and the map to the square."""
    radiograph = read_hand(hand)
    height, width = radiograph.pixels.shape
    points = np.asarray(drawn[hand.id]["keypoints"], float)[list(LANDMARKS.values()), :2] * [width, height] - 0.5
    square = (letterbox(radiograph.pixels, size) * 255).astype(np.uint8)
    return square, points, radiograph, letterbox_map(height, width, size)


if __name__ == "__main__":
    from script import run_typed

    run_typed(main)
