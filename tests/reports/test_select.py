"""Choosing the images to have read next."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boneage_roi.errors import InputError
from boneage_roi.reports.select import choose, select
from tests.bundles import EXAMPLES, needs_bundle


def test_the_doubtful_come_first_when_all_else_is_equal() -> None:
    vectors = np.zeros((5, 3))
    rows, distances = choose([3, 1, 9, 2, 5], np.zeros(5), vectors, 3)
    assert rows.tolist() == [2, 4, 0]
    assert distances.tolist() == [0, 0, 0]
    rows, _ = choose(np.zeros(5), [3, 1, 2, 9, 5], vectors, 2)
    assert rows.tolist() == [3, 4]


def test_what_is_like_the_chosen_waits() -> None:
    vectors = np.array([[0.0, 0], [0.01, 0], [5, 5], [-5, 5]])
    rows, distances = choose([9, 8, 2, 1], np.zeros(4), vectors, 4, weights=(1, 1, 3))
    assert rows[0] == 0
    assert set(rows[1:3]) == {2, 3}
    assert rows[3] == 1
    assert distances[1] > 1 > distances[3]


def test_what_is_like_the_known_waits_too() -> None:
    vectors = np.array([[0.0], [10.0], [5.0]])
    rows, _ = choose(np.zeros(3), np.zeros(3), vectors, 1, known=[[0.0], [10.0]])
    assert rows.tolist() == [2]


def test_no_more_are_chosen_than_there_are() -> None:
    assert sorted(choose([1, 2], [0, 0], [[0.0], [1.0]], 9)[0].tolist()) == [0, 1]


@needs_bundle
def test_images_are_chosen_in_order_and_those_without_an_age_are_told(tmp_path: Path) -> None:
    for name in ("girl-4y", "girl-10y", "boy-15y"):
        shutil.copy(EXAMPLES / f"{name}.png", tmp_path)
    (tmp_path / "none.png").write_bytes(b"no image")
    found = select(tmp_path, 2, output=tmp_path / "chosen.csv")
    assert found.images == 4
    assert list(found.chosen["rank"]) == [1, 2]
    assert (found.chosen["doubt"] > 0).all()
    assert found.chosen["distance"].iloc[1] > 0
    assert [Path(path).name for path in found.failed["path"]] == ["none.png"]
    assert list(pd.read_csv(tmp_path / "chosen.csv")["path"]) == list(found.chosen["path"])


@needs_bundle
def test_a_mistake_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose one image at least"):
        select(EXAMPLES, 0)
    (tmp_path / "none.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="none of 1 images gets a bone age"):
        select(tmp_path, 1)
