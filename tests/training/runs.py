"""A small run of drawn hands, as `prepare` and the first stages leave one."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from boneage_roi.configs.schema import TrainConfig
from boneage_roi.runs import layout
from boneage_roi.runs.run import Run

SIZE = (64, 52)
"""(height, width) of the frames."""


def config(**changes: Any) -> TrainConfig:
    """Settings that train in seconds."""
    one_epoch = {"stages": 3, "size": (32, 26), "rounds": [{"epochs": 1}], "batch": 4}
    settings = {
        "name": "drawn",
        "frame_size": SIZE,
        "segmenter": {"size": 64, "epochs": 1, "self_training_epochs": 1, "self_training_hands": 50, "batch": 4},
        "regions": {"hand": one_epoch},
        "fusion": {"folds": 2, "epochs": 2},
    }
    return TrainConfig.model_validate(settings | changes)


def write_run(path: Path, hands: pd.DataFrame, settings: TrainConfig | None = None) -> Run:
    """A run with its settings and its table.

    Args:
        hands: ``id, sex, boneage, split``; images are drawn where no ``path`` is given.
    """
    run = Run(path)
    (path / "images").mkdir(parents=True)
    run.write_config(settings or config())
    if "path" not in hands:
        hands = hands.assign(path=[str(path / "images" / f"{key}.png") for key in hands["id"]])
        for number, image in enumerate(hands["path"]):
            assert cv2.imwrite(image, drawn_hand(number))
    hands.assign(width=120, height=160).to_csv(path / layout.MANIFEST, index=False)
    return run


def drawn_hand(number: int) -> np.ndarray:
    """A palm, fingers and a forearm in an image of 160 x 120, each hand a little brighter than the last."""
    image = np.full((160, 120), 10, np.uint8)
    grey = 120 + 4 * number
    cv2.ellipse(image, (60, 90), (26, 30), 0, 0, 360, grey, cv2.FILLED)
    cv2.rectangle(image, (48, 110), (72, 159), grey, cv2.FILLED)
    for x in (38, 52, 66, 80):
        cv2.line(image, (60, 85), (x, 25), grey, 9)
    return image


def write_frames(run: Run) -> None:
    """Frames of a run's hands whose greys tell the sex, in the upper half, and the age, in the lower."""
    hands = run.manifest
    frames = np.zeros((len(hands), *SIZE), np.uint8)
    frames[:, : SIZE[0] // 2] = np.where(hands.sex == "M", 200, 50)[:, None, None]
    frames[:, SIZE[0] // 2 :] = hands.boneage.to_numpy(np.uint8)[:, None, None]
    folder = run.stage(layout.FRAMES)
    pixels, bad_exports, table_file = layout.FRAME_FILES
    np.save(folder / pixels, frames)
    np.save(folder / bad_exports, frames // 2)
    table = pd.DataFrame({"id": hands.id, "width": 120, "height": 160, "inverted": False, "confidence": 0.9})
    for place, value in enumerate((1, 0, 0, 0, 1, 0)):
        table[f"m{place}"] = value
    table.to_csv(folder / table_file, index=False)


def hands_of_every_split(train: int, fusion: int, test: int = 0) -> pd.DataFrame:
    """Boys and girls of many ages, mixed up."""
    splits = ["train"] * train + ["fusion"] * fusion + ["test"] * test
    random = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "id": [f"h{number}" for number in range(len(splits))],
            "sex": random.permutation(np.resize(["M", "F", "F"], len(splits))),
            "boneage": random.permutation(np.linspace(24, 216, len(splits)).round()),
            "split": random.permutation(splits),
        }
    )
