"""From a data set to a bundle that predicts, on sixty real hands: nothing is learnt, everything has to run."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from boneage_roi.datasets.cache import FrameCache, read_boxes, read_readings
from boneage_roi.imaging.reading import read_radiograph
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.predict import Predictor
from boneage_roi.regions import DETECTED_REGIONS, Region
from boneage_roi.runs import Run
from boneage_roi.values import Radiograph
from tests.real.tiny import killed_at


@pytest.fixture(scope="module")
def predictor(tiny_run: Run) -> Predictor:
    return Predictor(tiny_run.bundle)


def test_hands(run: Run) -> pd.DataFrame:
    hands = run.manifest
    return hands[hands.split == "test"].head(3)


test_hands.__test__ = False  # type: ignore[attr-defined]


def radiograph_of(run: Run, key: str) -> Radiograph:
    hand = run.manifest.set_index("id").loc[key]
    return read_radiograph(hand.path, sex=hand.sex, native_size=(int(hand.width), int(hand.height)))
