"""Importers, layout and splits on the real data set."""

import numpy as np
import pandas as pd
import pytest

from boneage_roi.configs.schema import SplitConfig
from boneage_roi.datasets.annotations import Annotations
from boneage_roi.datasets.formats.pascal_voc import read_pascal_voc
from boneage_roi.datasets.manifest import read_dataset
from boneage_roi.datasets.splits import assign_splits
from tests.conftest import RSNA, requires_rsna

pytestmark = requires_rsna


@pytest.fixture(scope="module")
def hands() -> pd.DataFrame:
    return assign_splits(read_dataset(RSNA), SplitConfig())


@pytest.fixture(scope="module")
def annotations() -> Annotations:
    return Annotations.read(RSNA / "annotations")


def test_rsna_layout_is_understood(hands: pd.DataFrame) -> None:
    assert len(hands) == 12_000
    assert hands["path"].str.contains("images-299").all()
    assert hands["sex"].eq("M").mean() == pytest.approx(0.54, abs=0.01)
    assert hands["boneage"].between(1, 228).all()
    assert hands["width"].isna().sum() == 4


def test_no_id_crosses_splits_and_shares_are_as_wanted(hands: pd.DataFrame) -> None:
    assert hands["id"].is_unique
    shares = hands["split"].value_counts(normalize=True)
    assert shares["test"] == pytest.approx(SplitConfig().test, abs=0.015)
    assert shares["fusion"] == pytest.approx(SplitConfig().fusion, abs=0.015)
    assert hands["split"].value_counts()["test"] >= 1000


def test_voc_files_agree_with_the_box_table(annotations: Annotations) -> None:
    voc = read_pascal_voc(RSNA / "annotations/voc")
    table = annotations.boxes.query("source == 'koitka2018'")
    assert voc["id"].nunique() == 229
    order = ["id", "label", "xmin", "ymin"]
    voc, table = voc.sort_values(order), table.sort_values(order)
    assert voc[["id", "label"]].to_numpy().tolist() == table[["id", "label"]].to_numpy().tolist()
    corners = ["xmin", "ymin", "xmax", "ymax"]
    np.testing.assert_allclose(voc[corners].to_numpy(), table[corners].to_numpy(), atol=2e-3)


def test_all_published_annotations_are_read(annotations: Annotations, hands: pd.DataFrame) -> None:
    counts = annotations.boxes.groupby("source")["id"].nunique()
    assert counts.to_dict() == {"koitka2018": 229, "handbone-detect": 766, "kucukbayrak": 1020}
    assert len(annotations.keypoints) == 540
    assert len(annotations.polygons) == 95
    assert set(annotations.keypoints) | set(annotations.polygons) <= set(hands["id"])
