"""The shipped example radiographs are averages, and no patient's image can be recognised in one."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.conftest import RSNA, requires_rsna
from tests.pictures import read_picture

EXAMPLES = Path(__file__).parents[2] / "examples"
SAMPLE = 12
ALIKE, ALIKE_IN_CONTRAST = 0.98, 0.9


def local_contrast(image: np.ndarray) -> np.ndarray:
    """What is left without exposure and the outline of the hand, in which all hands are alike."""
    grey = image.astype(np.float32)
    centred = grey - cv2.GaussianBlur(grey, (0, 0), 8)
    return np.asarray(centred / (np.sqrt(cv2.GaussianBlur(centred**2, (0, 0), 12)) + 5))


def aligned_correlations(example: np.ndarray, source: np.ndarray) -> tuple[float, float]:
    """Correlation of grey values and of local contrast, over the hand, laid by an affine map."""
    fixed, moving = (
        cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for image in (example, source)
    )
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
    _, affine = cv2.findTransformECC(fixed, moving, np.eye(2, 3, dtype=np.float32), cv2.MOTION_AFFINE, criteria)
    laid = cv2.warpAffine(moving, affine, fixed.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    hand = cv2.erode((fixed > 20).astype(np.uint8), np.ones((9, 9))) > 0
    pairs = ((fixed, laid), (local_contrast(fixed), local_contrast(laid)))
    grey, contrast = (float(np.corrcoef(one[hand], other[hand])[0, 1]) for one, other in pairs)
    return grey, contrast


def test_every_example_was_made_from_at_least_25_hands() -> None:
    manifest = pd.read_csv(EXAMPLES / "manifest.csv")
    assert set(manifest["path"]) == {path.name for path in EXAMPLES.glob("*.png")}
    assert manifest.groupby("sex").size().to_dict() == {"F": 5, "M": 5}
    assert manifest["hands"].min() >= 25


def test_examples_are_small_and_have_a_blank_background() -> None:
    paths = sorted(EXAMPLES.glob("*.png"))
    assert sum(path.stat().st_size for path in paths) < 2.5e6
    for path in paths:
        image = read_picture(path, cv2.IMREAD_UNCHANGED)
        assert image.dtype == np.uint8
        assert image.ndim == 2
        assert image[:20].max() == 0
        assert image[:500, :10].max() == 0


def test_an_image_is_recognised_in_a_changed_copy_of_itself() -> None:
    """The measure of the next test would find a patient's image only turned, scaled and brightened."""
    example = read_picture(min(EXAMPLES.glob("*.png")), cv2.IMREAD_GRAYSCALE)
    turned = cv2.warpAffine(example, cv2.getRotationMatrix2D((280, 350), 4, 0.95), example.shape[::-1])
    brightened = (255 * (turned / 255) ** 0.8).astype(np.uint8)
    grey, contrast = aligned_correlations(example, brightened)
    assert grey > ALIKE
    assert contrast > ALIKE_IN_CONTRAST


@requires_rsna
def test_no_single_radiograph_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy")
    monkeypatch.syspath_prepend(EXAMPLES)
    from hand_atlas import Atlas, similarity
    from make_examples import find_hands

    monkeypatch.setattr("make_examples.CANDIDATES", SAMPLE)
    labels = pd.read_csv(RSNA / "labels.csv", index_col="id").dropna(subset=["width", "height"])
    atlas = Atlas.of(RSNA, labels)
    for row in pd.read_csv(EXAMPLES / "manifest.csv").to_dict("records")[::3]:
        example = read_picture(EXAMPLES / row["path"], cv2.IMREAD_GRAYSCALE)
        places, _ = atlas.landmarks(example)
        hands = find_hands(RSNA, labels[labels["male"] == (row["sex"] == "M")], row["boneage"], atlas)
        scores = []
        for hand in hands:
            laid = cv2.warpAffine(hand.image, similarity(hand.points, places), example.shape[::-1])
            scores.append(aligned_correlations(example, laid))
        assert len(scores) == SAMPLE
        grey, contrast = np.transpose(scores)
        assert grey.max() <= ALIKE
        assert contrast.max() <= ALIKE_IN_CONTRAST
        assert np.median(contrast) > 0.15, "the radiographs were not laid onto the example, so nothing was compared"
