"""Measuring the aspect with an exported network."""

from pathlib import Path

import numpy as np
import pytest

from boneage_roi.aspect.runtime import AspectMeter
from boneage_roi.errors import InputError
from tests.aspect.hands import constant_network, framed


@pytest.mark.parametrize(("degrees", "wide"), [(0, np.exp(0.2)), (90, np.exp(-0.2)), (180, np.exp(0.2))])
def test_the_answer_is_meant_along_the_image_whichever_way_the_hand_points(
    tmp_path: Path, degrees: float, wide: float
) -> None:
    meter = AspectMeter(constant_network(tmp_path / "aspect.onnx", 0.2), limit=0.1)
    assert meter(*framed(degrees)) == pytest.approx(wide, rel=1e-5)


def test_a_missing_network_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"aspect\.onnx"):
        AspectMeter(tmp_path / "aspect.onnx", limit=0.1)


def test_no_hand_is_taken_for_more_than_twice_too_wide(tmp_path: Path) -> None:
    meter = AspectMeter(constant_network(tmp_path / "aspect.onnx", -5), limit=0.1)
    assert meter(*framed()) == pytest.approx(0.5)


def test_what_is_no_number_is_refused(tmp_path: Path) -> None:
    meter = AspectMeter(constant_network(tmp_path / "aspect.onnx", float("nan")), limit=0.1)
    with pytest.raises(InputError, match="finite"):
        meter(*framed())


@pytest.mark.parametrize("error", [0.0, 0.08, -0.08, 0.15, -0.15])
def test_a_hand_is_squashed_beyond_the_limit_either_way(tmp_path: Path, error: float) -> None:
    meter = AspectMeter(constant_network(tmp_path / "aspect.onnx", error), limit=0.1)
    expected = np.exp(error) if abs(error) > 0.1 else 1
    assert meter.squash(*framed()) == pytest.approx(expected)
